package conn

import "oneplusn/segment/mark"

// spill holds bytes that arrived for a frame that could not grow: the kernel had received them before the recv was paused. They
// are charged to the overflow share of the request memory, or, when that is used up, to the general one.
type spill struct {
	lent
	start, end int
}

func (s *spill) empty() bool { return s.start == s.end }
func (s *spill) len() int    { return s.end - s.start }

// add keeps data. It fails when both shares are used up.
func (s *spill) add(m *requestMemory, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if s.end+len(data) > len(s.bytes) {
		mark.Hit("bytes came for a frame that could not grow")
		n := roundedUp(s.len() + len(data))
		into, ok := m.take(m.overflow, n)
		if !ok {
			mark.Hit("the overflow of request memory was used up")
			into, ok = m.take(m.general, n)
		}
		if !ok {
			return m.overflow.Refusal("what has arrived of a request", int64(n))
		}
		kept := copy(into.bytes, s.bytes[s.start:s.end])
		m.give(s.lent)
		*s = spill{lent: into, end: kept}
	}
	s.end += copy(s.bytes[s.end:], data)
	return nil
}

// take moves bytes to into and returns how many.
func (s *spill) take(m *requestMemory, into []byte) int {
	n := copy(into, s.bytes[s.start:s.end])
	s.start += n
	if s.empty() {
		s.drop(m)
	}
	return n
}

// drop gives the memory back.
func (s *spill) drop(m *requestMemory) {
	m.give(s.lent)
	*s = spill{}
}
