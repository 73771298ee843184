package fanout

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"oneplusn/segment"
	"oneplusn/segment/records"
)

const (
	codecBits     = 0x07
	appendTimeBit = 0x08
	controlBit    = 0x20
)

// firstAtTime finds the first record of a range, among those at the offset from or above, whose timestamp is at least the
// one given: -1 and -1 if there is none. It reads the file, so it blocks and runs off the loop; the range's segment is held
// by the caller.
func firstAtTime(rng segment.Range, source segment.Source, timestampMillis, from, maxInflated int64) (offset, timestamp int64, err error) {
	rng = rng.Narrow(timestampMillis)
	file := fdReader(source.Fd())
	var header [segment.BatchHeaderSize]byte
	for at, end := rng.Pos, rng.Pos+rng.Len; at < end; {
		if err := file.read(header[:], at); err != nil {
			return -1, -1, err
		}
		h, err := segment.ParseBatch(header[:])
		if err == nil && int64(h.Size()) > end-at {
			err = fmt.Errorf("%w: it has %d bytes, %d are left", segment.ErrBatchShort, h.Size(), end-at)
		}
		if err != nil {
			return -1, -1, fmt.Errorf("at %d: %w", at, err)
		}
		if h.MaxTimestamp >= timestampMillis && h.LastOffset() >= from {
			offset, timestamp, err = firstInBatch(file, at, h, timestampMillis, from, maxInflated)
			if err != nil || offset >= 0 {
				return offset, timestamp, err
			}
		}
		at += int64(h.Size())
	}
	return -1, -1, nil
}

// firstInBatch looks into a batch whose header promises such a record. Like Apache Kafka it does not believe it. Of a batch
// that cannot be read, or inflates to more than allowed, the start is the closest that is safe.
func firstInBatch(
	file fdReader, at int64, h segment.Batch, timestampMillis, from, maxInflated int64,
) (offset, timestamp int64, err error) {
	start := max(h.BaseOffset, from)
	if h.Attributes&appendTimeBit != 0 {
		return start, h.MaxTimestamp, nil // all records have the time of the append
	}
	raw := make([]byte, h.Size())
	if err := file.read(raw, at); err != nil {
		return -1, -1, err
	}
	offset, timestamp = -1, -1
	err = eachRecord(raw, h, new(records.Reader), maxInflated, func(o, ts int64, _ *records.Record) error {
		if ts >= timestampMillis && o >= from {
			offset, timestamp = o, ts
			return errEnough
		}
		return nil
	})
	if err != nil && err != errEnough {
		return start, h.MaxTimestamp, nil
	}
	return offset, timestamp, nil
}

// errEnough ends eachRecord early.
var errEnough = errors.New("enough")

// eachRecord calls f with the records of a whole batch until f returns an error. Compressed ones are inflated as they are
// looked at, to at most so many bytes.
func eachRecord(
	raw []byte, h segment.Batch, r *records.Reader, maxInflated int64, f func(offset, timestamp int64, rec *records.Record) error,
) error {
	defer r.Close()
	r.Large = true
	if err := r.Reset(records.Codec(h.Attributes&codecBits), raw[segment.BatchHeaderSize:], maxInflated); err != nil {
		return fmt.Errorf("the records from offset %d on: %w", h.BaseOffset, err)
	}
	for range h.RecordCount {
		var rec records.Record
		more, err := r.Next(&rec)
		if err != nil {
			return fmt.Errorf("the records from offset %d on: %w", h.BaseOffset, err)
		}
		if !more {
			return nil
		}
		if err := f(h.BaseOffset+int64(rec.OffsetDelta), h.BaseTimestamp+rec.TimestampDelta, &rec); err != nil {
			return err
		}
	}
	return nil
}

// fdReader reads a file by its descriptor.
type fdReader int

func (f fdReader) read(b []byte, at int64) error {
	for done := 0; done < len(b); {
		n, err := unix.Pread(int(f), b[done:], at+int64(done))
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("reading %d bytes at %d: %w", len(b), at, err)
		}
		done += n
	}
	return nil
}
