package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
)

// AbortedTransaction is one that its producer aborted: its records, from FirstOffset up to the marker at LastOffset,
// are skipped by readers of committed data. Only directories that a Kafka broker wrote have them: they are read from
// the .txnindex files, which are never written here.
type AbortedTransaction struct {
	ProducerID              int64
	FirstOffset, LastOffset int64
}

// LastStableOffset is the offset below which no transaction is open: the high watermark, but for directories that a
// Kafka broker left with an open transaction.
func (l *Log) LastStableOffset() int64 {
	if l.firstUnstable >= 0 {
		return min(l.firstUnstable, l.highWatermark)
	}
	return l.highWatermark
}

// Aborted appends to list the aborted transactions that have records from the offset from up to, but without, to.
func (l *Log) Aborted(list []AbortedTransaction, from, to int64) []AbortedTransaction {
	for _, a := range l.aborted {
		if a.LastOffset >= from && a.FirstOffset < to {
			list = append(list, a)
		}
	}
	return list
}

// txnEntryBytes is the size of an entry of a .txnindex file: version 0 (int16), then producer id, first offset, last
// offset, and last stable offset at the marker, 8 bytes each.
const txnEntryBytes = 34

// parseTxnIndex reads a .txnindex file.
func parseTxnIndex(b []byte) ([]AbortedTransaction, error) {
	if len(b)%txnEntryBytes != 0 {
		return nil, fmt.Errorf("%w: it has %d bytes, a multiple of %d was expected", errIndex, len(b), txnEntryBytes)
	}
	list := make([]AbortedTransaction, 0, len(b)/txnEntryBytes)
	for at := 0; at < len(b); at += txnEntryBytes {
		if v := binary.BigEndian.Uint16(b[at:]); v != 0 {
			return nil, fmt.Errorf("%w: the version of entry %d is %d, 0 was expected", errIndex, len(list), v)
		}
		a := AbortedTransaction{
			ProducerID:  int64(binary.BigEndian.Uint64(b[at+2:])),
			FirstOffset: int64(binary.BigEndian.Uint64(b[at+10:])),
			LastOffset:  int64(binary.BigEndian.Uint64(b[at+18:])),
		}
		if a.FirstOffset < 0 || a.LastOffset < a.FirstOffset {
			return nil, fmt.Errorf("%w: entry %d is a transaction from %d to %d", errIndex, len(list), a.FirstOffset, a.LastOffset)
		}
		list = append(list, a)
	}
	return list, nil
}

// openTransactions reads what a Kafka broker noted of aborted transactions. Without it readers of committed data would
// get records that were taken back, so damage is an error.
func (l *Log) openTransactions() error {
	for _, s := range l.segments {
		path := beside(s.path, txnIndexSuffix)
		content, err := readFile(l.options.FS, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("segment: %w", err)
		}
		list, err := parseTxnIndex(content)
		if err != nil {
			return fmt.Errorf("segment: %s: %w: restore the file; without it readers would see aborted transactions", path, err)
		}
		l.aborted = append(l.aborted, list...)
	}
	l.firstUnstable = -1
	for p := l.producers.oldest; p != nil; p = p.newer {
		if p.txnFirstOffset >= 0 && (l.firstUnstable < 0 || p.txnFirstOffset < l.firstUnstable) {
			l.firstUnstable = p.txnFirstOffset
		}
	}
	return nil
}
