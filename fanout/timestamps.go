package fanout

import (
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
	maxInflatedBytes = 256 << 20
)

// firstAtTime finds the first record of a range whose timestamp is at least the one given: -1 and -1 if there is none.
// It reads the file, so it blocks and runs off the loop; the range's segment is held by the caller.
func firstAtTime(rng segment.Range, timestampMillis int64) (offset, timestamp int64, err error) {
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
		if h.MaxTimestamp >= timestampMillis {
			return firstInBatch(file, at, h, timestampMillis)
		}
		at += int64(h.Size())
	}
	return -1, -1, nil
}

// firstInBatch looks into the one batch that is known to hold such a record.
func firstInBatch(file fdReader, at int64, h segment.Batch, timestampMillis int64) (offset, timestamp int64, err error) {
	if h.Attributes&appendTimeBit != 0 {
		return h.BaseOffset, h.MaxTimestamp, nil // all records have the time of the append
	}
	raw := make([]byte, h.Size())
	if err := file.read(raw, at); err != nil {
		return -1, -1, err
	}
	records := raw[segment.BatchHeaderSize:]
	if codec := kgo.CompressionCodecType(h.Attributes & codecBits); codec != kgo.CodecNone {
		if records, err = kgo.DefaultDecompressor().Decompress(records, codec); err != nil {
			return -1, -1, fmt.Errorf("decompressing the batch at %d: %w", at, err)
		}
	}
	if len(records) > maxInflatedBytes {
		return -1, -1, fmt.Errorf("the batch at %d inflates to %d bytes, the limit is %d", at, len(records), maxInflatedBytes)
	}
	for range h.RecordCount {
		var r kmsg.Record
		if err := r.ReadFrom(records); err != nil {
			return -1, -1, fmt.Errorf("a record of the batch at %d: %w", at, err)
		}
		if ts := h.BaseTimestamp + r.TimestampDelta64; ts >= timestampMillis {
			return h.BaseOffset + int64(r.OffsetDelta), ts, nil
		}
		size := recordSize(records, r)
		if size > len(records) {
			break
		}
		records = records[size:]
	}
	return h.BaseOffset, h.MaxTimestamp, nil // the header promised one: the batch's start is the closest that is safe
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
