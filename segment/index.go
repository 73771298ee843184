package segment

import (
	"encoding/binary"
	"fmt"
	"sort"

	"oneplusn/segment/records"
)

// indexEntry is an entry of Kafka's .index: the last offset of a batch, relative to the segment's base, and its position.
type indexEntry struct{ offset, position uint32 }

// timeEntry is an entry of Kafka's .timeindex: the latest timestamp of the segment so far, and the last offset of the
// first batch with it.
type timeEntry struct {
	timestamp int64
	offset    uint32
}

// tailBatch is a batch at or behind the last entry.
type tailBatch struct{ base, last, position uint32 }

const (
	indexEntryBytes = 8
	timeEntryBytes  = 12
	// indexStride is the number of file entries for each entry in memory: 4 KiB of the file, a page. So a closed segment
	// needs 8 bytes of memory for every 2 MiB of batches, at the default interval.
	indexStride = 512
)

// index finds positions in one segment. Its entries are Kafka's: one for the first batch that begins more than an interval
// behind the last entry.
//
// The active segment's index is in memory, and knows every batch from the last entry on, so a subscriber at the tail is
// found exactly. A finished segment's index is in its file. The loop reads only resident pages of it; without them it has
// the entries in memory, one of indexStride.
//
//	entries   e0 ............ e1 ............ e2
//	batches   | b b b b b b b | b b b b b b b | b b b b    tail: the batches from e2 on
type index struct {
	interval int64
	entries  []indexEntry
	times    []timeEntry
	tail     []tailBatch
	// maxTimestamp is the segment's latest, and maxOffset the last offset of the first batch with it.
	maxTimestamp int64
	maxOffset    uint32
	// file holds count entries, entries every indexStride-th of them. It is nil while all are in memory.
	file  File
	count int
}

func newIndex(interval int64) index {
	return index{interval: interval, maxTimestamp: records.NoTimestamp}
}

// add adds an appended batch, by the rule of Kafka's LogSegment.append.
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

// addTime adds a time entry if the latest timestamp is above that of the last one.
func (x *index) addTime() {
	if n := len(x.times); x.maxTimestamp > records.NoTimestamp && (n == 0 || x.maxTimestamp > x.times[n-1].timestamp) {
		x.times = append(x.times, timeEntry{x.maxTimestamp, x.maxOffset})
	}
}

// place narrows down where a batch is, as far as an index can tell.
//
//	    from            the batch begins here or later    lastStart        end
//	-----|-----------------------------------------------------|------------|------>
//	a known boundary                               its start at the latest  the next known boundary
type place struct {
	from int64
	// lastStart and end are the size of the segment if no entry follows.
	lastStart, end int64
	// exact: the batch goes from from to end.
	exact bool
	// coarse: the index file's page is not resident, so the entries in memory had to do.
	coarse bool
}

// find is the place of the first batch that ends at the offset or later. size is the segment's.
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
	entries, i, coarse := x.search(sc, func(e indexEntry) bool { return e.offset >= offset })
	p := around(entries, i, size)
	p.coarse = coarse
	return p
}

// search finds the first entry that is far enough: its index in entries, which are those in memory or, where the index file's page
// is resident, those around it in the file.
func (x *index) search(sc *scratch, far func(indexEntry) bool) (entries []indexEntry, i int, coarse bool) {
	first := func(in []indexEntry) int { return sort.Search(len(in), func(i int) bool { return far(in[i]) }) }
	i = first(x.entries)
	block, coarse := x.block(i, sc)
	if len(block) == 0 {
		return x.entries, i, coarse
	}
	return block, first(block), coarse
}

// around is the place of a batch behind entry i-1 and not behind entry i.
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

// boundaryBefore is the last known start of a batch at or before position. coarse: see [place].
func (x *index) boundaryBefore(position int64, sc *scratch) (at int64, coarse bool) {
	if t := x.tail; len(t) > 0 && position >= int64(t[0].position) {
		i := sort.Search(len(t), func(i int) bool { return int64(t[i].position) > position })
		return int64(t[i-1].position), false
	}
	entries, i, coarse := x.search(sc, func(e indexEntry) bool { return int64(e.position) > position })
	if i == 0 {
		return 0, coarse
	}
	return int64(entries[i-1].position), coarse
}

// block reads a stride of entries from the file, from entry i-1 in memory up to two entries of the next stride. It is empty if
// all entries are in memory, or if the page is not resident: then it is coarse.
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

// beforeTime is the start of a batch; all batches before it are earlier than the timestamp.
func (x *index) beforeTime(timestampMillis, size int64, sc *scratch) int64 {
	i := sort.Search(len(x.times), func(i int) bool { return x.times[i].timestamp >= timestampMillis })
	if i == 0 {
		return 0
	}
	return x.find(x.times[i-1].offset, size, sc).from
}

// toFile replaces the entries by a summary and the index file.
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
