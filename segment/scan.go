package segment

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// damage is what a scan found.
type damage uint8

const (
	notScanned damage = iota
	intact            // batches from the first byte to the last
	tornTail          // invalid bytes at the end, and no valid batch behind their beginning
	interior          // invalid bytes with a valid batch behind them
	unreadable        // the disk reports an error
	damages
)

// String is the damage's label, in log lines and in the names of tests.
func (d damage) String() string {
	return [damages]string{"not-scanned", "intact", "torn-tail", "interior-damage", "unreadable"}[d]
}

// verdict is what a scan says of a segment. The scan changes nothing.
type verdict struct {
	damage     damage
	validBytes int64 // the valid batches from the start
	nextOffset int64 // the offset behind them
	batches    int64
	reason     error // what is wrong with the first invalid byte
}

// scanFile reads every byte of a segment and calls visit with its valid batches.
func scanFile(r io.ReaderAt, size, base int64, visit func(h Batch, at int64)) verdict {
	v := verdict{damage: intact, nextOffset: base}
	sc := newScanner(r, size, crcWindow)
	sc.checkCRC = true
	for v.validBytes < size {
		h, err := sc.batch(v.validBytes, base, v.nextOffset)
		if isReadError(err) {
			v.damage, v.reason = unreadable, err
			return v
		}
		if err != nil {
			v.damage, v.reason = sc.classify(v.validBytes, base), err
			return v
		}
		visit(h, v.validBytes)
		v.validBytes += int64(h.Size())
		v.nextOffset = h.NextOffset()
		v.batches++
	}
	return v
}

// walkFile calls visit with the headers of the batches from a position on, until it returns false. It may block. Every
// length is checked, no CRC is.
func walkFile(r io.ReaderAt, size, base, from int64, visit func(h Batch, at int64) bool) error {
	sc := newScanner(r, size, headerWindow)
	next := base
	for at := from; at < size; {
		h, err := sc.batch(at, base, next)
		if err != nil {
			return fmt.Errorf("at %d: %w", at, err)
		}
		if !visit(h, at) {
			return nil
		}
		at += int64(h.Size())
		next = h.NextOffset()
	}
	return nil
}

// readError marks an error of the disk, as against one of the bytes.
type readError struct{ err error }

func (e readError) Error() string { return e.err.Error() }
func (e readError) Unwrap() error { return e.err }

func isReadError(err error) bool {
	var re readError
	return errors.As(err, &re)
}

const (
	// crcWindow bounds the memory for checking batches, whatever their length fields say.
	crcWindow = 1 << 20
	// headerWindow is small: behind the header of a large batch nothing is looked at.
	headerWindow = 4 << 10
)

// batchScanner reads batches at positions, through a window of the file.
type batchScanner struct {
	r        io.ReaderAt
	size     int64
	checkCRC bool
	buf      []byte
	from, to int64 // what the window holds
}

func newScanner(r io.ReaderAt, size, window int64) *batchScanner {
	return &batchScanner{r: r, size: size, buf: make([]byte, min(window, max(size, 1)))}
}

// view is n bytes at a position, valid until the next view. n is at most the window's size.
func (sc *batchScanner) view(at, n int64) ([]byte, error) {
	if at < sc.from || at+n > sc.to {
		sc.from, sc.to = at, at
		b := sc.buf[:min(int64(len(sc.buf)), sc.size-at)]
		got, err := sc.r.ReadAt(b, at)
		sc.to = at + int64(got)
		if int64(got) < n {
			return nil, readError{fmt.Errorf("%d of %d bytes at %d: %w", got, n, at, err)}
		}
	}
	return sc.buf[at-sc.from : at-sc.from+n], nil
}

// batch reads the batch at a position; its first offset must be at least minOffset.
func (sc *batchScanner) batch(at, base, minOffset int64) (Batch, error) {
	if sc.size-at < BatchHeaderSize {
		return Batch{}, fmt.Errorf("%w: %d bytes are left, a header has %d", ErrBatchShort, sc.size-at, BatchHeaderSize)
	}
	b, err := sc.view(at, BatchHeaderSize)
	if err != nil {
		return Batch{}, err
	}
	h, err := ParseBatch(b)
	if err != nil {
		return h, err
	}
	switch {
	case int64(h.Size()) > sc.size-at:
		return h, fmt.Errorf("%w: it has %d bytes, %d are left", ErrBatchShort, h.Size(), sc.size-at)
	case h.BaseOffset < minOffset:
		return h, fmt.Errorf("%w: its offset is %d, at least %d was expected", ErrBatchMalformed, h.BaseOffset, minOffset)
	case h.BaseOffset-base > 1<<31-1 || h.LastOffset()-base > 1<<31-1:
		return h, fmt.Errorf("%w: offset %d is too far from the segment's base %d", ErrBatchMalformed, h.LastOffset(), base)
	}
	if err := h.checkCounts(); err != nil {
		return h, err
	}
	if !sc.checkCRC {
		return h, nil
	}
	return h, sc.crc(h, at)
}

func (sc *batchScanner) crc(h Batch, at int64) error {
	sum := uint32(0)
	end := at + int64(h.Size())
	for pos := at + crcFrom; pos < end; {
		n := end - pos
		if pos >= sc.from && pos < sc.to {
			n = min(n, sc.to-pos)
		}
		b, err := sc.view(pos, min(n, int64(len(sc.buf))))
		if err != nil {
			return err
		}
		sum = crc32.Update(sum, castagnoli, b)
		pos += int64(len(b))
	}
	if sum != h.CRC {
		return fmt.Errorf("%w: the header says %08x, the bytes say %08x", ErrBatchCRC, h.CRC, sum)
	}
	return nil
}

// classify says what kind of damage begins at a position. A valid batch is looked for at any byte from there on: the damage
// may have destroyed the lengths that lead from one batch to the next. The CRC is always checked, so that chance does
// not look like data. Any offset of the segment will do: it may be the offset before the damage that is wrong, because
// no CRC covers it.
func (sc *batchScanner) classify(at, base int64) damage {
	window := make([]byte, 1<<16)
	for from := at; from+BatchHeaderSize <= sc.size; {
		n := int(min(int64(len(window)), sc.size-from))
		if got, _ := sc.r.ReadAt(window[:n], from); got < n {
			return unreadable
		}
		for i := 0; i+BatchHeaderSize <= n; i++ {
			if window[i+magicAt] != magicV2 {
				continue
			}
			_, err := sc.batch(from+int64(i), base, base)
			if isReadError(err) {
				return unreadable
			}
			if err == nil {
				return interior
			}
		}
		from += int64(n - BatchHeaderSize + 1)
	}
	return tornTail
}
