package segment

import (
	"fmt"
	"math"

	"oneplusn/segment/invariants"
)

// These checks hold whatever clients send, whatever the disk returns and wherever the process was killed. A failure is a bug of this
// package or of its caller: data from clients and files is checked, and refused with an error, before it gets here.

// relative is an offset as index files hold it: 31 bits above the base of its segment.
func relative(offset, base int64) uint32 {
	if offset < base || offset-base > math.MaxInt32 {
		panic(fmt.Sprintf("segment: offset %d in a segment that begins at %d: an index has 31 bits", offset, base))
	}
	return uint32(offset - base)
}

// span is the range between two positions of a segment. Bytes behind visible are not committed, and are never handed out.
func (s *Segment) span(start, end int64) Range {
	if start < 0 || end < start || end > s.visible {
		panic(fmt.Sprintf("segment: a range from %d to %d of %s, of which %d bytes can be read", start, end, s.path, s.visible))
	}
	return Range{s, start, end - start}
}

// checkOffsets checks the order of the log's offsets.
func (l *Log) checkOffsets() {
	start, stable, high, end := l.LogStartOffset(), l.LastStableOffset(), l.highWatermark, l.LogEndOffset()
	if start > stable || stable > high || high > end || l.durable > end {
		panic(fmt.Sprintf("segment: %s: log start %d, last stable %d, high watermark %d, end %d, durable %d: each must be at most the next, and durable at most the end",
			l.dir, start, stable, high, end, l.durable))
	}
	if invariants.Enabled {
		l.recount()
	}
}

// checkSizes checks the order of a segment's positions.
func (s *Segment) checkSizes() {
	if s.visible > s.size || s.synced > s.size {
		panic(fmt.Sprintf("segment: %s has %d bytes: %d can be read and %d are durable", s.path, s.size, s.visible, s.synced))
	}
}

// recount walks over the segments and the producers.
func (l *Log) recount() {
	for i, s := range l.segments {
		s.checkSizes()
		if s.holds < 1 {
			panic(fmt.Sprintf("segment: the log does not hold %s", s.path))
		}
		if i > 0 && s.base < l.segments[i-1].next {
			panic(fmt.Sprintf("segment: %s begins below offset %d, the end of the segment before", s.path, l.segments[i-1].next))
		}
		if i < len(l.segments)-1 && s.visible < s.size && l.highWatermark >= s.next {
			panic(fmt.Sprintf("segment: %d of %d bytes of %s can be read, the high watermark is %d", s.visible, s.size, s.path, l.highWatermark))
		}
		s.index.recount(s.path, s.size)
	}
	for p := range l.producers.bySeen.All() {
		if l.producers.byID[p.id] != p {
			panic(fmt.Sprintf("segment: %s: producer %d is in the list and not in the map", l.dir, p.id))
		}
	}
}

// recount checks that the entries ascend, and that the batches behind the last one do.
func (x *index) recount(path string, size int64) {
	for i := 1; i < len(x.entries); i++ {
		if a, b := x.entries[i-1], x.entries[i]; b.offset <= a.offset || b.position <= a.position {
			panic(fmt.Sprintf("segment: %s: index entry %d is %v, the one before is %v", path, i, b, a))
		}
	}
	for i := 1; i < len(x.tail); i++ {
		if a, b := x.tail[i-1], x.tail[i]; b.base <= a.last || b.position <= a.position {
			panic(fmt.Sprintf("segment: %s: batch %d behind the last index entry is %v, the one before is %v", path, i, b, a))
		}
	}
	if n := len(x.tail); n > 0 && int64(x.tail[n-1].position) >= size {
		panic(fmt.Sprintf("segment: %s: the index has a batch at %d of %d bytes", path, x.tail[n-1].position, size))
	}
}
