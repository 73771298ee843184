package load

import "sort"

// Layout describes a published log, or a part of it: where each batch ends, in bytes and in offsets.
type Layout struct {
	// Start and End are the first offset and the one after the last.
	Start, End     int64
	Bytes, Records int64

	first   int64   // bytes of the log before this part
	ends    []int64 // the end of each batch of the whole log, in bytes
	offsets []int64 // the offset after each batch
}

// after is the offset after so many bytes of this part, and the bytes before that offset: fewer, if they end inside a batch.
func (l *Layout) after(bytes int64) (offset, position int64) {
	i := sort.Search(len(l.ends), func(i int) bool { return l.ends[i] > l.first+bytes })
	if i == 0 {
		return l.Start, 0
	}
	return l.offsets[i-1], l.ends[i-1] - l.first
}

// before is how many bytes of this part precede a batch, below 0 if the batch precedes this part.
func (l *Layout) before(base int64) (position int64) {
	i := sort.Search(len(l.offsets), func(i int) bool { return l.offsets[i] > base })
	if i == 0 {
		return -l.first
	}
	return l.ends[i-1] - l.first
}

func (l *Layout) add(base int64, records, bytes int) {
	if len(l.ends) == 0 {
		l.Start = base
	}
	l.End = base + int64(records)
	l.Bytes += int64(bytes)
	l.Records += int64(records)
	l.ends = append(l.ends, l.Bytes)
	l.offsets = append(l.offsets, l.End)
}

// Split cuts a layout in two at the last end of a batch within so many bytes. The parts keep the offsets of the whole, and
// count bytes from their own start.
func (l *Layout) Split(bytes int64) (before, behind *Layout) {
	offset, position := l.after(bytes)
	before, behind = new(*l), new(*l)
	before.End, before.Bytes, before.Records = offset, position, offset-l.Start
	behind.Start, behind.Bytes, behind.Records = offset, l.Bytes-position, l.End-offset
	behind.first = l.first + position
	return before, behind
}
