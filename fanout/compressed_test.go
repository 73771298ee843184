package fanout

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// zeroRecords are records with values of zeros.
func zeroRecords(count, valueBytes int) []byte {
	value := make([]byte, valueBytes)
	var all []byte
	for i := range count {
		r := kmsg.Record{TimestampDelta64: int64(i), OffsetDelta: int32(i), Value: value}
		body := r.AppendTo(nil)[1:]
		all = binary.AppendVarint(all, int64(len(body)))
		all = append(all, body...)
	}
	return all
}

// compressed puts so many records of zeros into a batch, under a codec.
func compressed(batch []byte, codec byte, count, valueBytes int) []byte {
	inflated := zeroRecords(count, valueBytes)
	batch = append(bytes.Clone(batch[:61]), deflate(codec, inflated)...)
	batch[22] |= codec
	binary.BigEndian.PutUint32(batch[23:], uint32(count-1))
	binary.BigEndian.PutUint64(batch[35:], binary.BigEndian.Uint64(batch[27:])+uint64(count-1))
	binary.BigEndian.PutUint32(batch[57:], uint32(count))
	return seal(batch)
}

func deflate(codec byte, b []byte) []byte {
	var out bytes.Buffer
	switch codec {
	case 1:
		w := gzip.NewWriter(&out)
		_, _ = w.Write(b)
		_ = w.Close()
	case 2:
		return s2.EncodeSnappy(nil, b)
	case 3:
		w := lz4.NewWriter(&out)
		_, _ = w.Write(b)
		_ = w.Close()
	case codecZstd:
		w, err := zstd.NewWriter(&out)
		if err != nil {
			panic(err)
		}
		_, _ = w.Write(b)
		_ = w.Close()
	default:
		return b
	}
	return out.Bytes()
}

// Compressed batches are what was sent, byte for byte, whether they are checked on the loop or in the background.
func TestCompressedBatchesAreStoredAsTheyCame(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	for codec := byte(0); codec <= 4; codec++ {
		for _, size := range []struct{ count, bytes int }{{1, 0}, {10, 100}, {3000, 100}, {1, 3 << 20}, {20000, 10}} {
			if codec == 0 && size.count*size.bytes > 1<<20 {
				continue
			}
			c.publish(log, compressed(makeBatch(1, 1, 1, 1000), codec, size.count, size.bytes))
		}
	}
	if err := c.readAll(11, []*shadow{log}); err != nil {
		t.Error(err)
	}
}

// What records inflate to is bounded, and the memory that it takes to find out too.
func TestBatchThatInflatesToTooMuchIsRefused(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxInflatedBytes = 4 << 20 })
	c := s.dial()
	c.create("feed", 1)
	for codec := byte(1); codec <= 4; codec++ {
		r := c.produce("feed", 0, compressed(makeBatch(1, 1, 1, 1000), codec, 2, 2<<20))
		if r.ErrorCode != 10 {
			t.Errorf("codec %d: error %d, want 10", codec, r.ErrorCode)
		}
		if r := c.produce("feed", 0, compressed(makeBatch(1, 1, 1, 1000), codec, 2, 2<<20-20)); r.ErrorCode != 0 {
			t.Errorf("codec %d, just within the limit: error %d", codec, r.ErrorCode)
		}
	}
}
