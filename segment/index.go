package segment

import (
	"encoding/binary"
	"fmt"
	"sort"

	"oneplusn/segment/records"
)

// indexEntry is an entry of Kafka's .index: the last offset of a batch, relative to the segment's base, and where the
// batch begins.
type indexEntry struct{ offset, position uint32 }

// timeEntry is an entry of Kafka's .timeindex: the latest timestamp of the segment so far, and the last offset of the
// first batch with it.
type timeEntry struct {
	timestamp int64
	offset    uint32
}

// tailBatch is a batch from the last entry on.
type tailBatch struct{ base, last, position uint32 }

const (
	indexEntryBytes = 8
	timeEntryBytes  = 12
	// indexStride is how many entries of an index file one entry in memory stands for: 4 KiB of the file, a page. So a
	// closed segment needs 8 bytes of memory for every 2 MiB of batches, at the default interval.
	indexStride = 512
)

// index finds positions in one segment. Its entries are those that Kafka writes: one for the first batch that begins
// more than an interval behind the last entry.
//
// The index of a segment that is written to is in memory, and knows every batch from the last entry on, so that a
// subscriber at the tail is found exactly. That of a closed segment is in its file, of which only resident pages are
// read: without them the entries in memory must do, one of indexStride.
type index struct {
	interval int64
	entries  []indexEntry
	times    []timeEntry
	tail     []tailBatch
	// maxTimestamp is the latest of the segment, and maxOffset the last offset of the first batch with it.
	maxTimestamp int64
	maxOffset    uint32
	// file holds count entries; entries then are every indexStride-th of them. It is nil while all are in memory.
	file  File
	count int
}

func newIndex(interval int64) index {
	return index{interval: interval, maxTimestamp: records.NoTimestamp}
}

// add notes a batch that was appended at position. It is the rule of Kafka's LogSegment.append.
func (x *index) add(base, last uint32, position, maxTimestamp int64) {
	if n := len(x.tail); last < base || n > 0 && (base <= x.tail[n-1].last || position <= int64(x.tail[n-1].position)) {
		panic(fmt.Sprintf("segment: a batch of offsets %d to %d at %d does not follow %v", base, last, position, x.tail[max(n-1, 0):]))
	}
	if maxTimestamp > x.maxTimestamp {
		x.maxTimestamp, x.maxOffset = maxTimestamp, last
	}
	from := int64(0)
	if n := len(x.entries); n > 0 {
		from = int64(x.entries[n-1].position)
	}
	if position-from > x.interval {
		x.entries = append(x.entries, indexEntry{last, uint32(position)})
		x.addTime()
		x.tail = x.tail[:0]
	}
	x.tail = append(x.tail, tailBatch{base, last, uint32(position)})
}

// addTime notes the latest timestamp, unless it is no later than that of the last entry.
func (x *index) addTime() {
	if n := len(x.times); x.maxTimestamp > records.NoTimestamp && (n == 0 || x.maxTimestamp > x.times[n-1].timestamp) {
		x.times = append(x.times, timeEntry{x.maxTimestamp, x.maxOffset})
	}
}

// place is what an index knows of where a batch is.
type place struct {
	// from is the start of a batch at or before it.
	from int64
	// lastStart is where it begins at the latest, and end is the first known boundary behind that. Both are the size
	// of the segment if no entry follows.
	lastStart, end int64
	// exact says that the batch is the one from from to end.
	exact bool
	// coarse says that the index file could not be read, and only the entries in memory are known.
	coarse bool
}

// find says where the first batch is whose last offset is the one given, or a later one. size is that of the segment.
func (x *index) find(offset uint32, size int64, sc *scratch) place {
	if n := len(x.tail); n > 0 && (len(x.entries) == 0 || offset >= x.tail[0].base) {
		i := sort.Search(n, func(i int) bool { return x.tail[i].last >= offset })
		if i == n {
			return place{from: size, lastStart: size, end: size}
		}
		p := place{from: int64(x.tail[i].position), end: size, exact: true}
		if i+1 < n {
			p.end = min(p.end, int64(x.tail[i+1].position))
		}
		p.lastStart = p.from
		return p
	}
	i := sort.Search(len(x.entries), func(i int) bool { return x.entries[i].offset >= offset })
	block, coarse := x.block(i, sc)
	if len(block) > 0 {
		i = sort.Search(len(block), func(j int) bool { return block[j].offset >= offset })
	} else {
		block = x.entries
	}
	p := around(block, i, size)
	p.coarse = coarse
	return p
}

// around is the place of a batch that is behind the entry before i, and not behind entry i.
func around(entries []indexEntry, i int, size int64) place {
	p := place{lastStart: size, end: size}
	if i > 0 {
		p.from = int64(entries[i-1].position)
	}
	if i < len(entries) {
		p.lastStart = min(size, int64(entries[i].position))
	}
	if i+1 < len(entries) {
		p.end = min(size, int64(entries[i+1].position))
	}
	return p
}

// boundaryBefore is the last known start of a batch at or before position. coarse is as in [place].
func (x *index) boundaryBefore(position int64, sc *scratch) (at int64, coarse bool) {
	if t := x.tail; len(t) > 0 && position >= int64(t[0].position) {
		i := sort.Search(len(t), func(i int) bool { return int64(t[i].position) > position })
		return int64(t[i-1].position), false
	}
	i := sort.Search(len(x.entries), func(i int) bool { return int64(x.entries[i].position) > position })
	block, coarse := x.block(i, sc)
	if len(block) > 0 {
		i = sort.Search(len(block), func(j int) bool { return int64(block[j].position) > position })
	} else {
		block = x.entries
	}
	if i == 0 {
		return 0, coarse
	}
	return int64(block[i-1].position), coarse
}

// block reads from the file the entries from the one that is entry i-1 in memory up to the two that follow the stride.
// It is empty if all are in memory, or, and then it is coarse, if they can't be read.
func (x *index) block(i int, sc *scratch) (entries []indexEntry, coarse bool) {
	if x.file == nil || x.count == 0 {
		return nil, false
	}
	first := max(i-1, 0) * indexStride
	n := min(x.count-first, indexStride+2)
	b := sc.indexBytes[:n*indexEntryBytes]
	if got, err := sc.read(x.file, b, int64(first)*indexEntryBytes); err != nil || got < len(b) {
		return nil, true
	}
	for j := range n {
		sc.entries[j] = decodeEntry(b[j*indexEntryBytes:])
	}
	return sc.entries[:n], false
}

func decodeEntry(b []byte) indexEntry {
	return indexEntry{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

// beforeTime is the start of a batch before which every batch is earlier than the timestamp.
func (x *index) beforeTime(timestampMillis, size int64, sc *scratch) int64 {
	i := sort.Search(len(x.times), func(i int) bool { return x.times[i].timestamp >= timestampMillis })
	if i == 0 {
		return 0
	}
	return x.find(x.times[i-1].offset, size, sc).from
}

// toFile lets go of what the index file has.
func (x *index) toFile(f File, summary []indexEntry, count int) {
	if x.file != nil || len(summary) != (count+indexStride-1)/indexStride {
		panic(fmt.Sprintf("segment: %d of %d index entries stay in memory, the file was open before: %v", len(summary), count, x.file != nil))
	}
	x.file, x.entries, x.count = f, summary, count
	x.times, x.tail = nil, nil
}

// summarize is every indexStride-th entry.
func summarize(entries []indexEntry) []indexEntry {
	summary := make([]indexEntry, 0, (len(entries)+indexStride-1)/indexStride)
	for i := 0; i < len(entries); i += indexStride {
		summary = append(summary, entries[i])
	}
	return summary
}
