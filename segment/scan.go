package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"oneplusn/segment/records"
)

// damage is the result of a scan.
type damage uint8

const (
	notScanned damage = iota
	intact            // batches from the first byte to the last
	tornTail          // invalid bytes, and no valid batch behind the first of them
	interior          // invalid bytes, and a valid batch behind them
	unreadable        // the disk reports an error
	damages
)

func (d damage) String() string {
	return [damages]string{"not-scanned", "intact", "torn-tail", "interior-damage", "unreadable"}[d]
}

// verdict is a scan's result for a segment.
type verdict struct {
	damage     damage
	validBytes int64 // size of the valid batches at the start
	nextOffset int64 // behind them
	batches    int64
	reason     error // of the damage
}

// scanFile reads every byte of a segment, calls visit with its valid batches, and changes nothing.
func scanFile(r io.ReaderAt, size, base int64, visit func(h records.Batch, at int64)) verdict {
	v := verdict{damage: intact}
	sc := newScanner(r, size, crcWindow)
	sc.checkCRC = true
	v.validBytes, v.nextOffset, v.reason = sc.walk(base, 0, func(h records.Batch, at int64) bool {
		visit(h, at)
		v.batches++
		return true
	})
	switch {
	case isReadError(v.reason):
		v.damage = unreadable
	case v.reason != nil:
		v.damage = sc.classify(v.validBytes, base, v.nextOffset)
	}
	return v
}

// walkFile calls visit with the headers of the batches from a position on, until visit returns false. It checks lengths, offsets
// and counts, but no CRC. It blocks.
func walkFile(r io.ReaderAt, size, base, from int64, visit func(h records.Batch, at int64) bool) error {
	at, _, err := newScanner(r, size, headerWindow).walk(base, from, visit)
	if err != nil {
		return fmt.Errorf("at %d: %w", at, err)
	}
	return nil
}

// readError marks an error of the disk, in contrast to invalid bytes.
type readError struct{ err error }

func (e readError) Error() string { return e.err.Error() }
func (e readError) Unwrap() error { return e.err }

func isReadError(err error) bool {
	var re readError
	return errors.As(err, &re)
}

const (
	// crcWindow bounds the memory for checking batches, whatever their lengths.
	crcWindow = 1 << 20
	// headerWindow is small: a walk skips the records.
	headerWindow = 4 << 10
)

// batchScanner reads batches at positions, through a window of the file.
type batchScanner struct {
	r        io.ReaderAt
	size     int64
	checkCRC bool
	buf      []byte
	from, to int64 // the part of the file in buf
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

// walk calls visit with the batches from a position on, until one is invalid or visit returns false. It returns the end of those
// before that one, and the offset behind them.
func (sc *batchScanner) walk(base, at int64, visit func(h records.Batch, at int64) bool) (end, next int64, err error) {
	for next = base; at < sc.size; {
		h, err := sc.batch(at, base, next)
		if err != nil {
			return at, next, err
		}
		if !visit(h, at) {
			break
		}
		at, next = at+int64(h.Size()), h.NextOffset()
	}
	return at, next, nil
}

// batch reads and checks the batch at a position; its first offset must be at least minOffset.
func (sc *batchScanner) batch(at, base, minOffset int64) (records.Batch, error) {
	h, err := sc.header(at)
	if err != nil {
		return h, err
	}
	switch {
	case int64(h.Size()) > sc.size-at:
		return h, fmt.Errorf("%w: it has %d bytes, %d are left", records.ErrShort, h.Size(), sc.size-at)
	case h.BaseOffset < minOffset:
		return h, fmt.Errorf("%w: its offset is %d, at least %d was expected", records.ErrMalformed, h.BaseOffset, minOffset)
	case h.BaseOffset-base > 1<<31-1 || h.LastOffset()-base > 1<<31-1:
		return h, fmt.Errorf("%w: offset %d is too far from the segment's base %d", records.ErrMalformed, h.LastOffset(), base)
	}
	if err := h.CheckCounts(); err != nil {
		return h, err
	}
	if !sc.checkCRC {
		return h, nil
	}
	sum, err := sc.sumTo(0, at+records.CRCFrom, at+int64(h.Size()))
	if err != nil {
		return h, err
	}
	return h, h.CheckCRC(sum)
}

// header parses the header at a position.
func (sc *batchScanner) header(at int64) (records.Batch, error) {
	if sc.size-at < records.HeaderSize {
		return records.Batch{}, fmt.Errorf("%w: %d bytes are left, a header has %d", records.ErrShort, sc.size-at, records.HeaderSize)
	}
	b, err := sc.view(at, records.HeaderSize)
	if err != nil {
		return records.Batch{}, err
	}
	return records.ParseBatch(b)
}

// sumTo adds the bytes from one position to another to a CRC.
func (sc *batchScanner) sumTo(sum uint32, pos, end int64) (uint32, error) {
	for pos < end {
		n := end - pos
		if pos >= sc.from && pos < sc.to {
			n = min(n, sc.to-pos)
		}
		b, err := sc.view(pos, min(n, int64(len(sc.buf))))
		if err != nil {
			return 0, err
		}
		sum = records.UpdateCRC(sum, b)
		pos += int64(len(b))
	}
	return sum, nil
}

// classify finds the kind of damage that begins at a position. It looks for a valid batch at every byte from there on, because the
// damage may have destroyed the lengths that lead from one batch to the next. It always checks the CRC, so that random bytes
// do not look like a batch. It accepts any offset of the segment: the wrong offset may be the one before the damage, since no CRC
// covers it.
//
// Within the damaged batch another rule holds, because a record's value may contain whole batches (a mirror, a backup): see
// tornBatch.
func (sc *batchScanner) classify(at, base, next int64) damage {
	torn := sc.tornBatchAt(at, next)
	window := make([]byte, 1<<16)
	budget := 8*(sc.size-at) + 64<<20
	for from := at; from+records.HeaderSize <= sc.size; {
		n := int(min(int64(len(window)), sc.size-from))
		if got, _ := sc.r.ReadAt(window[:n], from); got < n {
			return unreadable
		}
		for i := 0; i+records.HeaderSize <= n; i++ {
			if !records.MayBegin(window[i:]) {
				continue
			}
			pos := from + int64(i)
			if torn.contains(pos) {
				if follows, err := torn.followedAt(pos, window[i:]); err != nil {
					return unreadable
				} else if !follows {
					continue
				}
			}
			h, err := sc.batch(pos, base, base)
			if isReadError(err) {
				return unreadable
			}
			if err == nil {
				return interior
			}
			if errors.Is(err, records.ErrCRC) {
				budget -= int64(h.Size())
			}
			if budget < 0 { // forged headers: checking all their CRCs would take for ever
				return interior
			}
		}
		from += int64(n - records.HeaderSize + 1)
	}
	return tornTail
}

// tornBatch is a damaged batch whose header may be intact: it has the expected offset. If it is, all bytes up to the end that it
// claims are its own, whatever they look like. If its length is wrong, the batch that really followed it begins where its CRC
// matches, and has the next offset.
type tornBatch struct {
	records.Batch
	sc      *batchScanner
	at, end int64 // the extent that it claims
	sum     uint32
	summed  int64 // sum is the CRC of the bytes up to here
}

// tornBatchAt is the damaged batch at a position; it claims nothing if its header is damaged.
func (sc *batchScanner) tornBatchAt(at, next int64) tornBatch {
	h, err := sc.header(at)
	if err != nil || h.BaseOffset != next || h.CheckCounts() != nil {
		return tornBatch{at: at, end: at}
	}
	return tornBatch{Batch: h, sc: sc, at: at, end: at + int64(h.Size()), summed: at + records.CRCFrom}
}

func (t *tornBatch) contains(pos int64) bool { return pos >= t.at && pos < t.end }

// followedAt reports whether the batch that really followed begins at a position, which ascends from call to call.
func (t *tornBatch) followedAt(pos int64, header []byte) (bool, error) {
	if pos < t.at+records.HeaderSize || int64(binary.BigEndian.Uint64(header)) != t.NextOffset() {
		return false, nil
	}
	sum, err := t.sc.sumTo(t.sum, t.summed, pos)
	if err != nil {
		return false, err
	}
	t.sum, t.summed = sum, pos
	return sum == t.CRC, nil
}
