package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/cmd/internal/load"
	"oneplusn/segment/records"
)

// A value is its producer's id, its number, content that follows from both, and a CRC of all that, so it proves what it is.
const valueOverhead = 8 + 8 + 4

func appendValue(b []byte, id uint64, number int64, size int) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint64(b, id)
	b = binary.BigEndian.AppendUint64(b, uint64(number))
	for x := id ^ uint64(number)*0x9e3779b97f4a7c15; len(b)-start < size-4; {
		x = x*6364136223846793005 + 1442695040888963407
		b = append(b, byte(x>>60)) // 16 different bytes, which compress well
	}
	return binary.BigEndian.AppendUint32(b, records.UpdateCRC(0, b[start:]))
}

func checkValue(v []byte, id uint64) (number int64, err error) {
	if len(v) < valueOverhead {
		return 0, fmt.Errorf("a value of %d bytes", len(v))
	}
	body := v[:len(v)-4]
	if want := binary.BigEndian.Uint32(v[len(v)-4:]); records.UpdateCRC(0, body) != want {
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
func makeBatch(id uint64, first int64, count, valueBytes, codec int) ([]byte, error) {
	batch := make([]byte, records.HeaderSize)
	for i := range count {
		batch = records.AppendRecord(batch, i, nil, appendValue(nil, id, first+int64(i), valueBytes))
	}
	header := records.NewBatch(count, time.Now().UnixMilli()) // retention would delete an old one
	compressor, err := kgo.DefaultCompressor(codecs[codec])
	if err != nil {
		return nil, err
	}
	if compressor != nil {
		packed, kind := compressor.Compress(new(bytes.Buffer), batch[records.HeaderSize:])
		header.Attributes = records.Attributes(kind)
		batch = append(batch[:records.HeaderSize], packed...)
	}
	records.Seal(batch, header)
	return batch, nil
}

// maxInflatedBytes is larger than any inflated batch of this program.
const maxInflatedBytes = 128 << 20

// readBatches checks whole batches and calls saw for each record.
func readBatches(raw []byte, id uint64, saw func(offset, number int64) error) error {
	reader := records.Reader{Contents: true, Large: true}
	for len(raw) > 0 {
		h, err := records.CheckBatch(raw)
		if err != nil {
			return fmt.Errorf("a batch from the server: %w", err)
		}
		var wrong error
		err = reader.Each(h, raw[:h.Size()], maxInflatedBytes, func(offset, _ int64, r *records.Record) bool {
			var number int64
			if number, wrong = checkValue(r.Value, id); wrong != nil {
				wrong = fmt.Errorf("offset %d: %w", offset, wrong)
			} else {
				wrong = saw(offset, number)
			}
			return wrong == nil
		})
		if err = errors.Join(err, wrong); err != nil {
			return err
		}
		raw = raw[h.Size():]
	}
	return nil
}

// fetch reads batches from an offset on. end is the high watermark.
func fetch(c *load.Control, topic string, offset int64) (batches []byte, end int64, err error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.MinBytes = 16<<20, 1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, 16<<20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := c.Request(req, 11)
	if err != nil {
		return nil, 0, err
	}
	r := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
		return nil, 0, fmt.Errorf("%w, the log has %d to %d", err, r.LogStartOffset, r.HighWatermark)
	}
	return r.RecordBatches, r.HighWatermark, nil
}

// read checks all logs from their progress on, and counts the records.
func (h *harness) read(address string, streams []*stream, of func(*stream) *progress, count *int64) error {
	c, err := load.Dial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, s := range streams {
		if err := c.CreateTopic(s.topic); err != nil {
			return err
		}
		p, acked := of(s), s.lastAcked()
		for {
			raw, end, err := fetch(c, s.topic, p.offset)
			if err != nil {
				return fmt.Errorf("fetching %s from %d: %w (offset %d was acknowledged)", s, p.offset, err, acked)
			}
			if p.offset >= end {
				break
			}
			err = readBatches(raw, s.id, func(offset, number int64) error {
				if offset < p.offset {
					return nil // the batch that holds the requested offset begins before it
				}
				if offset != p.offset {
					return fmt.Errorf("%s: offset %d arrived, expected %d", s, offset, p.offset)
				}
				*count++
				return s.saw(p, offset, number)
			})
			if err != nil {
				return err
			}
		}
		if acked >= p.offset {
			return fmt.Errorf("%s: acknowledged records are lost: the log ends at offset %d, %d was acknowledged", s, p.offset, acked)
		}
	}
	return nil
}
