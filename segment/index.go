package segment

import (
	"math"
	"sort"
)

// indexEntry says where a batch begins. offset is relative to the segment's base, as in Kafka's index files.
type indexEntry struct {
	offset   uint32
	position uint32
	// maxTimestamp is the latest of all batches from this entry up to the next.
	maxTimestamp int64
}

// index finds positions in one segment by offset, from memory alone: one entry for every interval of bytes, and behind
// the last of them every batch, so that a subscriber at the tail is found exactly.
type index struct {
	interval int64
	sparse   []indexEntry
	// tail are the batches from the last sparse entry on; its first is that entry.
	tail []indexEntry
	// maxTimestamp is the latest of the whole segment.
	maxTimestamp int64
}

func newIndex(interval int64) index {
	return index{interval: interval, maxTimestamp: noTimestamp}
}

// add notes a batch that was appended at position.
func (x *index) add(relative uint32, position int64, maxTimestamp int64) {
	e := indexEntry{relative, uint32(position), maxTimestamp}
	if n := len(x.sparse); n == 0 || position-int64(x.sparse[n-1].position) > x.interval {
		x.sparse = append(x.sparse, e)
		x.tail = x.tail[:0]
	} else {
		last := &x.sparse[n-1]
		last.maxTimestamp = max(last.maxTimestamp, maxTimestamp)
	}
	x.tail = append(x.tail, e)
	x.maxTimestamp = max(x.maxTimestamp, maxTimestamp)
}

// floor is the last known batch that begins at or before the offset. exact says that no batch lies between: the offset
// is in that very batch. The segment must have a batch.
func (x *index) floor(relative uint32) (e indexEntry, exact bool) {
	if relative >= x.tail[0].offset {
		i := sort.Search(len(x.tail), func(i int) bool { return x.tail[i].offset > relative })
		return x.tail[i-1], true
	}
	i := sort.Search(len(x.sparse), func(i int) bool { return x.sparse[i].offset > relative })
	if i == 0 {
		return x.sparse[0], false
	}
	e = x.sparse[i-1]
	return e, e.offset == relative
}

// boundaryBefore is the last known start of a batch at or before position.
func (x *index) boundaryBefore(position int64) indexEntry {
	if t := x.tail[0]; position >= int64(t.position) {
		i := sort.Search(len(x.tail), func(i int) bool { return int64(x.tail[i].position) > position })
		return x.tail[i-1]
	}
	i := sort.Search(len(x.sparse), func(i int) bool { return int64(x.sparse[i].position) > position })
	return x.sparse[max(i-1, 0)]
}

// boundaryAfter is the first known start of a batch behind position. ok is false if there is none.
func (x *index) boundaryAfter(position int64) (e indexEntry, ok bool) {
	if i := sort.Search(len(x.sparse), func(i int) bool { return int64(x.sparse[i].position) > position }); i < len(x.sparse) {
		return x.sparse[i], true
	}
	if i := sort.Search(len(x.tail), func(i int) bool { return int64(x.tail[i].position) > position }); i < len(x.tail) {
		return x.tail[i], true
	}
	return indexEntry{}, false
}

// atTime is the first entry with a batch of that time or later between it and the next. ok is false if there is none.
func (x *index) atTime(timestampMillis int64) (from, to int64, ok bool) {
	for i, e := range x.sparse {
		if e.maxTimestamp >= timestampMillis {
			to = math.MaxInt64
			if i+1 < len(x.sparse) {
				to = int64(x.sparse[i+1].position)
			}
			return int64(e.position), to, true
		}
	}
	return 0, 0, false
}
