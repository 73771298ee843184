package fanout

import (
	"errors"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"oneplusn/segment"
)

const (
	codecBits        = 0x07
	appendTimeBit    = 0x08
	controlBit       = 0x20
	maxInflatedBytes = 256 << 20
)

// firstAtTime finds the first record of a range, among those at the offset from or above, whose timestamp is at least the
// one given: -1 and -1 if there is none. It reads the file, so it blocks and runs off the loop; the range's segment is held
// by the caller.
func firstAtTime(rng segment.Range, timestampMillis, from int64) (offset, timestamp int64, err error) {
	rng = rng.Narrow(timestampMillis)
	file := fdReader(rng.Segment.Fd())
	var header [segment.BatchHeaderSize]byte
	for at, end := rng.Pos, rng.Pos+rng.Len; at < end; {
		if err := file.read(header[:], at); err != nil {
			return -1, -1, err
		}
		h, err := segment.ParseBatch(header[:])
		if err != nil {
			return -1, -1, fmt.Errorf("at %d: %w", at, err)
		}
		if h.MaxTimestamp >= timestampMillis && h.LastOffset() >= from {
			offset, timestamp, err = firstInBatch(file, at, h, timestampMillis, from)
			if err != nil || offset >= 0 {
				return offset, timestamp, err
			}
		}
		at += int64(h.Size())
	}
	return -1, -1, nil
}

// firstInBatch looks into a batch whose header promises such a record. Like Apache Kafka it does not believe it.
func firstInBatch(file fdReader, at int64, h segment.Batch, timestampMillis, from int64) (offset, timestamp int64, err error) {
	if h.Attributes&appendTimeBit != 0 {
		return max(h.BaseOffset, from), h.MaxTimestamp, nil // all records have the time of the append
	}
	raw := make([]byte, h.Size())
	if err := file.read(raw, at); err != nil {
		return -1, -1, err
	}
	offset, timestamp = -1, -1
	err = eachRecord(raw, h, func(o int64, r *kmsg.Record) error {
		if ts := h.BaseTimestamp + r.TimestampDelta64; ts >= timestampMillis && o >= from {
			offset, timestamp = o, ts
			return errEnough
		}
		return nil
	})
	if err != nil && err != errEnough {
		return -1, -1, fmt.Errorf("the batch at %d: %w", at, err)
	}
	return offset, timestamp, nil
}

// errEnough ends eachRecord early.
var errEnough = errors.New("enough")

// eachRecord calls f with the records of a whole batch, inflated if they are compressed, until f returns an error.
func eachRecord(raw []byte, h segment.Batch, f func(offset int64, r *kmsg.Record) error) error {
	records := raw[segment.BatchHeaderSize:]
	if codec := kgo.CompressionCodecType(h.Attributes & codecBits); codec != kgo.CodecNone {
		var err error
		if records, err = kgo.DefaultDecompressor().Decompress(records, codec); err != nil {
			return fmt.Errorf("decompressing the records from offset %d on: %w", h.BaseOffset, err)
		}
	}
	if len(records) > maxInflatedBytes {
		return fmt.Errorf("the records from offset %d on inflate to %d bytes, the limit is %d", h.BaseOffset, len(records), maxInflatedBytes)
	}
	for range h.RecordCount {
		var r kmsg.Record
		if err := r.ReadFrom(records); err != nil {
			return fmt.Errorf("a record from offset %d on: %w", h.BaseOffset, err)
		}
		if err := f(h.BaseOffset+int64(r.OffsetDelta), &r); err != nil {
			return err
		}
		size := recordSize(records, r)
		if size <= 0 || size > len(records) {
			return nil
		}
		records = records[size:]
	}
	return nil
}

// recordSize is the size of the record at the start of b: its length and the varint in front that says so.
func recordSize(b []byte, r kmsg.Record) int {
	prefix := 1
	for prefix < len(b) && b[prefix-1]&0x80 != 0 {
		prefix++
	}
	return prefix + int(r.Length)
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
