package fanout

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/commit"
	"oneplusn/segment/records"
	"oneplusn/segment/records/compress"
)

// seamScript turns a fuzzer's bytes into produces of more or less broken batches, fetches, and restarts.
type seamScript []byte

func (s *seamScript) next() byte {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return b
}

// batch is a batch with some of its bytes changed; most get a valid CRC again, so that the checks behind it are
// reached. It may be compressed, or two batches in one.
func (s *seamScript) batch() []byte {
	how := s.next()
	raw := makeBatch(uint64(s.next()), 1+int(how&7), int(s.next()), int64(s.next()))
	if how&8 != 0 {
		raw = compressBatch(raw, int(1+s.next()%4))
	}
	for range how >> 6 {
		at := int(s.next())
		raw[at%len(raw)] ^= s.next()
	}
	if how&16 == 0 {
		raw = seal(raw)
	}
	if how&32 != 0 {
		raw = append(raw, makeBatch(1, 1, 1, 0)...)
	}
	return raw
}

// compressBatch compresses the records of a batch.
func compressBatch(raw []byte, codec int) []byte {
	out := append(bytes.Clone(raw[:records.HeaderSize]), compress.Records(codec, raw[records.HeaderSize:])...)
	out[22] |= byte(codec)
	return seal(out)
}

// seamModel has the acknowledged batches, in the order of the offsets.
type seamModel struct {
	t       *testing.T
	batches [][]byte
	bases   []int64
	end     int64
}

// produce publishes bytes as they are. What is acknowledged continues the log, and can be decoded whole.
func (m *seamModel) produce(c *dialed, raw []byte) {
	m.t.Helper()
	r := c.produce("seam", 0, bytes.Clone(raw))
	if r.ErrorCode != 0 {
		return
	}
	if r.BaseOffset != m.end {
		m.t.Fatalf("acknowledged at offset %d, the log ended at %d", r.BaseOffset, m.end)
	}
	count := int64(int32(binary.BigEndian.Uint32(raw[57:])))
	m.checkRecords(raw, count)
	m.batches, m.bases = append(m.batches, raw), append(m.bases, m.end)
	m.end += count
}

// checkRecords fails unless a client can decode every record of a batch that was acknowledged.
func (m *seamModel) checkRecords(raw []byte, count int64) {
	m.t.Helper()
	records := raw[records.HeaderSize:]
	if codec := kgo.CompressionCodecType(raw[22] & 7); codec != kgo.CodecNone {
		var err error
		if records, err = kgo.DefaultDecompressor().Decompress(records, codec); err != nil {
			m.t.Fatalf("an acknowledged batch does not inflate: %v", err)
		}
	}
	for i := range count {
		var r kmsg.Record
		if err := r.ReadFrom(records); err != nil {
			m.t.Fatalf("record %d of %d of an acknowledged batch: %v", i, count, err)
		}
		if int64(r.OffsetDelta) != i {
			m.t.Fatalf("record %d of %d of an acknowledged batch has the offset delta %d", i, count, r.OffsetDelta)
		}
		_, prefix := binary.Varint(records)
		records = records[prefix+int(r.Length):]
	}
	if len(records) > 0 {
		m.t.Fatalf("%d bytes follow the %d records of an acknowledged batch", len(records), count)
	}
}

// read reads from an offset to the end, and compares. Each answer begins with the batch that holds its offset.
func (m *seamModel) read(c *dialed, from int64, maxBytes int32) {
	m.t.Helper()
	for next := from; next < m.end; {
		p := c.fetchOne(11, wanted{topic: "seam", offset: next, maxBytes: maxBytes})
		if p.ErrorCode != 0 || p.HighWatermark != m.end || len(p.RecordBatches) == 0 {
			m.t.Fatalf("fetch at %d: error %d, high watermark %d, want %d, %d bytes", next, p.ErrorCode, p.HighWatermark, m.end, len(p.RecordBatches))
		}
		for raw := p.RecordBatches; len(raw) > 0; {
			h, err := records.CheckBatch(raw)
			if err != nil {
				m.t.Fatalf("fetch at %d: %v", next, err)
			}
			i := m.holding(next)
			if h.BaseOffset != m.bases[i] || !bytes.Equal(raw[records.HeaderSize:h.Size()], m.batches[i][records.HeaderSize:]) {
				m.t.Fatalf("at offset %d came the batch of %d, or its records are others", next, h.BaseOffset)
			}
			next, raw = h.NextOffset(), raw[h.Size():]
		}
	}
}

// holding is the acknowledged batch that holds an offset.
func (m *seamModel) holding(offset int64) int {
	i := 0
	for i+1 < len(m.bases) && m.bases[i+1] <= offset {
		i++
	}
	return i
}

// FuzzAcknowledgedIsWhatIsRead: whatever producers send, acknowledged batches can be decoded, and subscribers read exactly
// these from any offset, also after a restart; refused batches leave no trace.
func FuzzAcknowledgedIsWhatIsRead(f *testing.F) {
	f.Add([]byte{0, 7, 1, 20, 5, 1, 0, 30, 0, 15, 2, 100, 9, 3, 2, 0, 0, 10, 255})
	f.Add([]byte{0, 64 | 3, 1, 20, 5, 57, 1, 0, 128, 3, 9, 9, 23, 1, 60, 7, 1, 0, 10, 3, 1, 200})
	f.Add([]byte{0, 8, 1, 40, 0, 0, 0, 8, 2, 40, 0, 1, 0, 8, 3, 40, 0, 2, 0, 8, 4, 40, 0, 3, 1, 0, 0, 2, 1, 1, 1})
	f.Fuzz(func(t *testing.T, bytes []byte) {
		dir := t.TempDir()
		open := func() (*server, *dialed) {
			s := start(t, func(c *Config) {
				c.DataDir, c.Fsync, c.Log.RetentionAge, c.Log.SegmentBytes = dir, commit.Fsync{}, -1, 16<<10
			})
			return s, s.dial()
		}
		s, c := open()
		c.create("seam", 1)
		m := &seamModel{t: t}
		restarts := 0
		script := seamScript(bytes[:min(len(bytes), 200)])
		for len(script) > 0 {
			switch script.next() % 4 {
			case 0, 3:
				m.produce(c, script.batch())
			case 1:
				m.read(c, m.end*int64(script.next())/256, 1+int32(script.next())*16)
			case 2:
				if restarts++; restarts > 2 {
					continue
				}
				c.close()
				s.stop()
				s, c = open()
			}
		}
		m.read(c, 0, 1<<20)
		c.close()
		s.stop()
	})
}
