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
	intact   damage = iota // batches from the first byte to the last
	tornTail               // invalid bytes at the end, and no valid batch behind their beginning
	interior               // invalid bytes with a valid batch behind them
)

// String is the case's label, in log lines and in the names of tests.
func (d damage) String() string { return [...]string{"intact", "torn-tail", "interior-damage"}[d] }

// verdict is what a scan says of a segment. The scan changes nothing.
type verdict struct {
	damage     damage
	validBytes int64 // the valid batches from the start
	nextOffset int64 // the offset behind them
	reason     error // what is wrong with the first invalid byte
}

// scanFile reads a segment of size bytes and fills x with its batches. With checkCRC every byte is read, otherwise the
// headers are. An error is one of reading; what the bytes say is the verdict.
func scanFile(r io.ReaderAt, size, base int64, checkCRC bool, x *index) (verdict, error) {
	v := verdict{nextOffset: base}
	sc := batchScanner{r: r, size: size, checkCRC: checkCRC}
	for v.validBytes < size {
		h, err := sc.batch(v.validBytes, v.nextOffset)
		if isIOError(err) {
			return v, err
		}
		if err == nil && h.LastOffset()-base > 1<<31-1 {
			err = fmt.Errorf("%w: offset %d is too far from the segment's base %d", ErrBatchMalformed, h.LastOffset(), base)
		}
		if err != nil {
			v.reason = err
			follows, ioErr := sc.validBehind(v.validBytes+1, v.nextOffset)
			if v.damage = tornTail; follows {
				v.damage = interior
			}
			return v, ioErr
		}
		x.add(uint32(h.BaseOffset-base), v.validBytes, h.MaxTimestamp)
		v.validBytes += int64(h.Size())
		v.nextOffset = h.NextOffset()
	}
	return v, nil
}

// readError marks an error of the disk, as against one of the bytes.
type readError struct{ err error }

func (e readError) Error() string { return e.err.Error() }
func (e readError) Unwrap() error { return e.err }

func isIOError(err error) bool {
	var re readError
	return errors.As(err, &re)
}

// batchScanner reads batches at positions.
type batchScanner struct {
	r        io.ReaderAt
	size     int64
	checkCRC bool
	header   [BatchHeaderSize]byte
	body     []byte
}

func (sc *batchScanner) read(b []byte, at int64) error {
	if n, err := sc.r.ReadAt(b, at); n < len(b) {
		return readError{fmt.Errorf("%d of %d bytes at %d: %w", n, len(b), at, err)}
	}
	return nil
}

// batch reads the batch at a position; its first offset must be at least minOffset.
func (sc *batchScanner) batch(at, minOffset int64) (Batch, error) {
	if sc.size-at < BatchHeaderSize {
		return Batch{}, fmt.Errorf("%w: %d bytes are left, a header has %d", ErrBatchShort, sc.size-at, BatchHeaderSize)
	}
	if err := sc.read(sc.header[:], at); err != nil {
		return Batch{}, err
	}
	h, err := ParseBatch(sc.header[:])
	if err != nil {
		return h, err
	}
	if int64(h.Size()) > sc.size-at {
		return h, fmt.Errorf("%w: it has %d bytes, %d are left", ErrBatchShort, h.Size(), sc.size-at)
	}
	if h.BaseOffset < minOffset {
		return h, fmt.Errorf("%w: its offset is %d, at least %d was expected", ErrBatchMalformed, h.BaseOffset, minOffset)
	}
	if err := h.checkCounts(); err != nil {
		return h, err
	}
	if !sc.checkCRC {
		return h, nil
	}
	return h, sc.crc(h, at)
}

// crcPiece bounds the memory for checking a batch, whatever its length field says.
const crcPiece = 1 << 20

func (sc *batchScanner) crc(h Batch, at int64) error {
	sum := uint32(0)
	end := at + int64(h.Size())
	for pos := at + crcFrom; pos < end; {
		n := int(min(end-pos, crcPiece))
		if cap(sc.body) < n {
			sc.body = make([]byte, n)
		}
		if err := sc.read(sc.body[:n], pos); err != nil {
			return err
		}
		sum = crc32.Update(sum, castagnoli, sc.body[:n])
		pos += int64(n)
	}
	if sum != h.CRC {
		return fmt.Errorf("%w: the header says %08x, the bytes say %08x", ErrBatchCRC, h.CRC, sum)
	}
	return nil
}

// validBehind looks for a valid batch that begins at from or later, at any byte: damage may have destroyed the lengths
// that lead from one batch to the next. The CRC is always checked, so that chance does not look like data.
func (sc *batchScanner) validBehind(from, minOffset int64) (bool, error) {
	full := batchScanner{r: sc.r, size: sc.size, checkCRC: true}
	window := make([]byte, 1<<16)
	for from+BatchHeaderSize <= sc.size {
		n := int(min(int64(len(window)), sc.size-from))
		if err := sc.read(window[:n], from); err != nil {
			return false, err
		}
		for i := 0; i+BatchHeaderSize <= n; i++ {
			if window[i+magicAt] != magicV2 {
				continue
			}
			_, err := full.batch(from+int64(i), minOffset)
			if isIOError(err) {
				return false, err
			}
			if err == nil {
				return true, nil
			}
		}
		from += int64(n - BatchHeaderSize + 1)
	}
	return false, nil
}
