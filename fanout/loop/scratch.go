package loop

// Scratch is memory in which responses are encoded, one after the other. Each is copied out before the next is encoded.
type Scratch struct{ bytes []byte }

// keptScratchBytes bounds the memory kept between two sweeps: no budget counts it.
const keptScratchBytes = 1 << 20

// Empty is the memory to append a response to.
func (s *Scratch) Empty() []byte { return s.bytes[:0] }

// Keep keeps the memory of an encoded response for the next one.
func (s *Scratch) Keep(encoded []byte) {
	if cap(encoded) >= cap(s.bytes) {
		s.bytes = encoded
	}
}

// Trim drops the memory if it is large. It is called once a second: the memory of one huge answer must not stay, but many answers
// in a row share it.
func (s *Scratch) Trim() {
	if cap(s.bytes) > keptScratchBytes {
		s.bytes = nil
	}
}
