package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sort"

	"oneplusn/segment/records"
)

// AbortedTransaction is one that its producer aborted: readers of committed data skip its records, from FirstOffset up to the marker
// at LastOffset. Only directories that a Kafka broker wrote have them, in .txnindex files; here only [Repair] writes those.
type AbortedTransaction struct {
	ProducerID              int64
	FirstOffset, LastOffset int64
}

// LastStableOffset is the offset below which no transaction is open: the high watermark, except in directories that a Kafka broker
// left with an open transaction.
func (l *Log) LastStableOffset() int64 {
	if l.unstable.open {
		return min(max(l.unstable.offset, l.LogStartOffset()), l.highWatermark)
	}
	return l.highWatermark
}

// unstable is the start of the first open transaction. Nothing here can end it, so its position is computed once, at open, when the
// log may wait for the disk.
type unstable struct {
	open   bool
	offset int64
	// segment is the base offset of its segment, pos its position there.
	segment, pos int64
}

// Stable is the part of a range that readers of committed data may see: up to the batch at the last stable offset.
func (l *Log) Stable(r Range) Range {
	switch u := l.unstable; {
	case !u.open || r.Segment == nil || r.Segment.base < u.segment || r.Segment.base == u.segment && r.Pos+r.Len <= u.pos:
		return r
	case r.Segment.base == u.segment && r.Pos < u.pos:
		return r.Segment.span(r.Pos, u.pos)
	}
	return Range{}
}

// Aborted appends to list the aborted transactions that have records from the offset from up to, but not including, to.
func (l *Log) Aborted(list []AbortedTransaction, from, to int64) []AbortedTransaction {
	i := sort.Search(len(l.aborted), func(i int) bool { return l.aborted[i].LastOffset >= from })
	for ; i < len(l.aborted); i++ {
		if l.aborted[i].FirstOffset < to {
			list = append(list, l.aborted[i].AbortedTransaction)
		}
		if l.aborted[i].lastStable >= to {
			break // later ones began later
		}
	}
	return list
}

// txnEntry is an entry of a .txnindex file, which is sorted by last offset.
type txnEntry struct {
	AbortedTransaction
	// lastStable is the last stable offset when this one ended.
	lastStable int64
}

// txnEntryBytes is the size of an entry of a .txnindex file: version 0 (int16), then producer id, first offset, last
// offset, and last stable offset at the marker, 8 bytes each.
const txnEntryBytes = 34

func parseTxnIndex(b []byte) ([]txnEntry, error) {
	return parseEntries(b, txnEntryBytes, func(b []byte, before []txnEntry) (txnEntry, error) {
		a, n := txnEntry{AbortedTransaction{
			ProducerID:  int64(binary.BigEndian.Uint64(b[2:])),
			FirstOffset: int64(binary.BigEndian.Uint64(b[10:])),
			LastOffset:  int64(binary.BigEndian.Uint64(b[18:])),
		}, int64(binary.BigEndian.Uint64(b[26:]))}, len(before)
		switch version := binary.BigEndian.Uint16(b); {
		case version != 0:
			return a, fmt.Errorf("%w: the version of entry %d is %d, 0 was expected", errIndex, n, version)
		case a.FirstOffset < 0 || a.LastOffset < a.FirstOffset || n > 0 && a.LastOffset < before[n-1].LastOffset:
			return a, fmt.Errorf("%w: entry %d is a transaction from %d to %d", errIndex, n, a.FirstOffset, a.LastOffset)
		}
		return a, nil
	})
}

func (a txnEntry) appendTo(b []byte) []byte {
	b = append(b, 0, 0) // version
	for _, v := range []int64{a.ProducerID, a.FirstOffset, a.LastOffset, a.lastStable} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}

// txnScan finds the aborted transactions in the batches of a log, from its first segment on.
type txnScan struct {
	open    map[int64]int64 // the first offset of each producer's open transaction
	aborted []txnEntry
}

func newTxnScan() *txnScan { return &txnScan{open: make(map[int64]int64)} }

// take returns the transactions found since the last take.
func (x *txnScan) take() []txnEntry {
	list := x.aborted
	x.aborted = nil
	return list
}

// batch follows the batch at a position of a segment. It ignores transactions that began before the log's start: their records are
// gone.
func (x *txnScan) batch(r io.ReaderAt, h records.Batch, at int64) {
	first, open := x.open[h.ProducerID]
	switch {
	case h.ProducerID < 0:
	case !h.Attributes.Has(records.Control):
		if h.Attributes.Has(records.Transactional) && !open {
			x.open[h.ProducerID] = h.BaseOffset
		}
	default:
		delete(x.open, h.ProducerID)
		if !open || !isAbortMarker(r, h, at) {
			return
		}
		stable := h.NextOffset()
		for _, other := range x.open {
			stable = min(stable, other)
		}
		x.aborted = append(x.aborted, txnEntry{AbortedTransaction{h.ProducerID, first, h.LastOffset()}, stable})
	}
}

// isAbortMarker reads the key of a control batch's only record: a version (int16) and a type (int16), 0 for abort.
func isAbortMarker(r io.ReaderAt, h records.Batch, at int64) bool {
	b := make([]byte, min(64, h.Size()-records.HeaderSize))
	if n, _ := r.ReadAt(b, at+records.HeaderSize); n < len(b) {
		return false
	}
	varint := func() int64 {
		v, n := binary.Varint(b)
		b = b[max(n, 0):]
		return v
	}
	varint() // the record's length
	if len(b) == 0 {
		return false
	}
	b = b[1:] // attributes
	varint()  // timestamp delta
	varint()  // offset delta
	return varint() >= 4 && len(b) >= 4 && binary.BigEndian.Uint16(b[2:]) == 0
}

// openTransactions reads the aborted transactions. Without them readers of committed data would get aborted records, so damage is an
// error.
func (l *Log) openTransactions() error {
	for _, s := range l.segments {
		path := beside(s.path, txnIndexSuffix)
		content, err := ReadFile(l.options.FS, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("segment: %w", err)
		}
		list, err := parseTxnIndex(content)
		if err != nil {
			return fmt.Errorf("segment: %s: %w: oneplusn repair --rebuild-indexes writes it again", path, err)
		}
		l.aborted = append(l.aborted, list...)
	}
	first := l.LogEndOffset()
	for _, p := range l.producers.byID {
		if p.isOpen() {
			first = min(first, p.txnFirstOffset)
		}
	}
	if first == l.LogEndOffset() {
		return nil
	}
	return l.findUnstable(first)
}

// findUnstable finds the batch with an offset, or the next one if it was compacted away. If it meets damage first, nobody can read
// what is behind it, and the position is the damage's.
func (l *Log) findUnstable(offset int64) error {
	s := l.holder(offset)
	pos := s.index.find(relative(max(offset, s.base), s.base), s.size, &l.scratch).from
	err := walkFile(s.file, s.size, s.base, pos, func(h records.Batch, at int64) bool {
		if pos = at; h.NextOffset() <= offset {
			pos += int64(h.Size())
			return true
		}
		return false
	})
	if isReadError(err) {
		return fmt.Errorf("segment: looking for the open transaction at offset %d of %s: %w", offset, s.path, err)
	}
	l.unstable = unstable{open: true, offset: offset, segment: s.base, pos: pos}
	return nil
}
