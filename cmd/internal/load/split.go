package load

import "sort"

// Split cuts a layout in two at the last end of a batch within so many bytes. The parts have the offsets of the whole,
// and count bytes from their own start.
func (l *Layout) Split(bytes int64) (before, behind *Layout) {
	offset, position := l.after(bytes)
	n := int64(sort.Search(len(l.ends), func(i int) bool { return l.ends[i] > l.first+position }))
	n -= int64(sort.Search(len(l.ends), func(i int) bool { return l.ends[i] > l.first }))
	before, behind = new(*l), new(*l)
	before.End, before.Bytes, before.Records, before.Batches = offset, position, offset-l.Start, n
	behind.Start, behind.Bytes, behind.Records, behind.Batches = offset, l.Bytes-position, l.End-offset, l.Batches-n
	behind.first = l.first + position
	return before, behind
}
