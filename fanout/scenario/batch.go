package scenario

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/segment/records"
	"oneplusn/segment/records/compress"
)

// batch is a batch of records on its way.
type batch struct {
	bytes   []byte
	records []*record
	lane    *lane // of an idempotent producer
}

// sequence is what an idempotent producer writes into a batch.
type sequence struct {
	id    int64 // -1 if the producer is not idempotent
	epoch int16
	first int32
}

// newBatch draws a batch of new records of a producer for a partition.
func (o *producer) newBatch(r *rand.Rand, p *partition, seq sequence) batch {
	w := o.world
	n := 1 + r.IntN(1<<r.IntN(6))
	base := w.nowMillis() - int64(r.IntN(1000))
	h := records.NewBatch(n, base)
	h.ProducerID, h.ProducerEpoch, h.BaseSequence = seq.id, seq.epoch, seq.first
	var b batch
	var payload []byte
	for i := range n {
		millis := base + int64(r.IntN(100))
		h.MaxTimestamp = max(h.MaxTimestamp, millis)
		id := fmt.Sprintf("%s/%d", o.name, o.nextKey)
		o.nextKey++
		b.records = append(b.records, w.model.sent(id, p, millis))
		payload = appendRecord(payload, r, i, millis-base, id)
	}
	codec := records.Codec(0)
	if r.IntN(3) == 0 {
		codec = records.Codec(r.IntN(int(records.Zstd) + 1))
	}
	if codec == records.Zstd {
		if o.version < 7 {
			codec = records.LZ4
		}
		p.hasZstd = p.hasZstd || codec == records.Zstd
	}
	h.Attributes = records.Attributes(codec)
	b.bytes = append(make([]byte, records.HeaderSize), compress.Records(int(codec), payload)...)
	records.Seal(b.bytes, h)
	return b
}

// appendRecord appends a record whose key is its id.
func appendRecord(to []byte, r *rand.Rand, offsetDelta int, timestampDelta int64, id string) []byte {
	record := kmsg.Record{OffsetDelta: int32(offsetDelta), TimestampDelta64: timestampDelta, Key: []byte(id)}
	if r.IntN(8) > 0 {
		record.Value = make([]byte, r.IntN(1<<r.IntN(10)))
	}
	for range r.IntN(8) / 6 {
		record.Headers = append(record.Headers, kmsg.Header{Key: "h", Value: []byte{1, 2, 3}})
	}
	body := record.AppendTo(nil)[1:] // without the length, which is 0 and takes a byte
	return append(binary.AppendVarint(to, int64(len(body))), body...)
}

// damages make a batch one that must be refused.
var damages = []func(r *rand.Rand, b []byte) []byte{
	func(_ *rand.Rand, b []byte) []byte { b[17] ^= 1; return b },                           // the CRC
	func(r *rand.Rand, b []byte) []byte { b[records.HeaderSize+r.IntN(4)] ^= 4; return b }, // a record
	func(r *rand.Rand, b []byte) []byte { return b[:1+r.IntN(len(b)-1)] },                  // cut short
	func(_ *rand.Rand, b []byte) []byte { b[16] = 1; return b },                            // the magic of an old format
	func(_ *rand.Rand, b []byte) []byte { return append(b, 0) },                            // a byte behind it
	func(_ *rand.Rand, b []byte) []byte { return append(b, b...) },                         // two of them
	func(_ *rand.Rand, b []byte) []byte { return nil },                                     // none
	resealed(func(h *records.Batch) { h.RecordCount++ }),
	resealed(func(h *records.Batch) { h.LastOffsetDelta++ }),
	resealed(func(h *records.Batch) { h.RecordCount, h.LastOffsetDelta = 0, -1 }),
	resealed(func(h *records.Batch) { h.Attributes |= records.Transactional }),
	resealed(func(h *records.Batch) { h.Attributes |= records.Control }),
	resealed(func(h *records.Batch) { h.Attributes |= 7 }),
	resealed(func(h *records.Batch) { h.BaseTimestamp += 1 << 50; h.MaxTimestamp += 1 << 50 }),
	resealed(func(h *records.Batch) { h.ProducerID, h.BaseSequence = 1, -1 }),
}

// resealed changes the header of a batch, and makes its CRC right.
func resealed(change func(*records.Batch)) func(*rand.Rand, []byte) []byte {
	return func(_ *rand.Rand, b []byte) []byte {
		h, err := records.ParseBatch(b)
		if err != nil {
			panic("scenario: " + err.Error())
		}
		change(&h)
		records.Seal(b, h)
		return b
	}
}

// setProducerID writes an id into a batch.
func setProducerID(b []byte, id int64) {
	resealed(func(h *records.Batch) { h.ProducerID, h.ProducerEpoch = id, 0 })(nil, b)
}
