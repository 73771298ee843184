package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/segment"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A value is its producer's id, its number, content that follows from both, and a CRC of all that. So a value that is
// read proves what it is.
const valueOverhead = 8 + 8 + 4

func appendValue(b []byte, id uint64, number int64, size int) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint64(b, id)
	b = binary.BigEndian.AppendUint64(b, uint64(number))
	for x := id ^ uint64(number)*0x9e3779b97f4a7c15; len(b)-start < size-4; {
		x = x*6364136223846793005 + 1442695040888963407
		b = append(b, byte(x>>60)) // 16 different bytes, so that it can be compressed
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

func checkValue(v []byte, id uint64) (number int64, err error) {
	if len(v) < valueOverhead {
		return 0, fmt.Errorf("a value of %d bytes", len(v))
	}
	body := v[:len(v)-4]
	if want := binary.BigEndian.Uint32(v[len(v)-4:]); crc32.Checksum(body, castagnoli) != want {
		return 0, fmt.Errorf("a value of %d bytes whose CRC does not match", len(v))
	}
	if got := binary.BigEndian.Uint64(v); got != id {
		return 0, fmt.Errorf("a value of producer %x, not %x", got, id)
	}
	return int64(binary.BigEndian.Uint64(v[8:])), nil
}

var codecs = []kgo.CompressionCodec{
	kgo.NoCompression(), kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
}

// makeBatch makes a batch of records numbered from first on. The codec is one of codecs.
func makeBatch(id uint64, first int64, records, valueBytes, codec int) ([]byte, error) {
	var body []byte
	for i := range records {
		r := kmsg.Record{OffsetDelta: int32(i), Value: appendValue(nil, id, first+int64(i), valueBytes)}
		r.Length = int32(len(r.AppendTo(nil)) - 1) // less the length itself, which is one byte for the 0 that is in it
		body = r.AppendTo(body)
	}
	var kind kgo.CompressionCodecType
	compressor, err := kgo.DefaultCompressor(codecs[codec])
	if err != nil {
		return nil, err
	}
	if compressor != nil {
		packed, k := compressor.Compress(new(bytes.Buffer), body)
		body, kind = packed, k
	}
	now := time.Now().UnixMilli() // an old one would be retention's
	batch := kmsg.RecordBatch{
		Length: int32(49 + len(body)), Magic: 2, Attributes: int16(kind), LastOffsetDelta: int32(records - 1),
		FirstTimestamp: now, MaxTimestamp: now, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		NumRecords: int32(records), Records: body,
	}
	raw := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], castagnoli))
	return raw, nil
}

// readBatches calls saw for each record in whole batches.
func readBatches(raw []byte, id uint64, saw func(offset, number int64) error) error {
	for len(raw) > 0 {
		h, err := segment.CheckBatch(raw)
		if err != nil {
			return fmt.Errorf("what the server sent: %w", err)
		}
		body := raw[segment.BatchHeaderSize:h.Size()]
		if kind := kgo.CompressionCodecType(h.Attributes & 7); kind != kgo.CodecNone {
			if body, err = kgo.DefaultDecompressor().Decompress(body, kind); err != nil {
				return fmt.Errorf("the batch at offset %d: %w", h.BaseOffset, err)
			}
		}
		for range h.RecordCount {
			size, prefix := binary.Varint(body)
			if prefix <= 0 || size < 0 || int64(prefix)+size > int64(len(body)) {
				return fmt.Errorf("the batch at offset %d: a record's length is wrong", h.BaseOffset)
			}
			var r kmsg.Record
			if err := r.ReadFrom(body); err != nil {
				return fmt.Errorf("the batch at offset %d: %w", h.BaseOffset, err)
			}
			number, err := checkValue(r.Value, id)
			if err != nil {
				return fmt.Errorf("offset %d: %w", h.BaseOffset+int64(r.OffsetDelta), err)
			}
			if err := saw(h.BaseOffset+int64(r.OffsetDelta), number); err != nil {
				return err
			}
			body = body[prefix+int(size):]
		}
		raw = raw[h.Size():]
	}
	return nil
}

// read checks all logs from where progress says on, and counts the records.
func (h *harness) read(address string, streams []*stream, of func(*stream) *progress, count *int64) error {
	c, err := connect(address)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for _, s := range streams {
		if err := c.create(s.topic, 1); err != nil {
			return err
		}
		p, acked := of(s), s.lastAcked()
		for {
			raw, end, err := c.fetch(s.topic, s.partition, p.offset)
			if err != nil {
				return fmt.Errorf("%w (offset %d was acknowledged)", err, acked)
			}
			if p.offset >= end {
				break
			}
			err = readBatches(raw, s.id, func(offset, number int64) error {
				if offset < p.offset {
					return nil // of the batch that contains the offset asked for
				}
				if offset != p.offset {
					return fmt.Errorf("%s: offset %d came where %d was due", s, offset, p.offset)
				}
				*count++
				return s.saw(p, offset, number)
			})
			if err != nil {
				return err
			}
		}
		if err := s.complete(p, acked); err != nil {
			return err
		}
	}
	return nil
}
