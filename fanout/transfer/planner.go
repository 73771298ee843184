package transfer

import "oneplusn/segment/mark"

// pick chooses how a part's range moves.
//
// A splice through the ring costs two hand-offs to a worker thread, so a small range is cheaper to copy once, inline.
// That holds only for pages that are resident: a send from the mapping of a cold page would wait for the disk on the
// loop's thread, where the first hop of a splice waits on a worker.
func (e *Engine) pick(p *Part) Mode {
	if p.Source == nil || p.Len == 0 {
		return Send
	}
	mode := e.config.Mode
	if mode == Auto {
		mode = Splice
		if p.Len < e.config.SpliceFromBytes && e.resident(p.Source, p.Pos, p.Len) {
			mode = Send
		}
	}
	if mode == Send {
		if _, err := p.Source.Map(); err != nil {
			mark.Hit("a segment could not be mapped, so it was spliced")
			return Splice // no address space left for another mapping
		}
	}
	return mode
}

// hotRange remembers the range last found resident in this turn: all subscribers of a fan-out ask for the same one.
type hotRange struct {
	source Source
	pos, n int64
}

// resident reports whether reading a range will not wait for a disk. Of blocks that the page cache tracks it says no such thing:
// our own advice may evict their pages before they are read.
func (e *Engine) resident(s Source, pos, n int64) bool {
	h := &e.hot
	if h.source == s && pos >= h.pos && pos+n <= h.pos+h.n {
		return true
	}
	if e.PageCache.Holds(s, pos, n) || !e.kernel.Resident(s.Fd(), pos, n) {
		return false
	}
	*h = hotRange{s, pos, n}
	return true
}
