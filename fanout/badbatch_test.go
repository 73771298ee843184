package fanout

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// badBatches are produced one at a time, and each gets the error code of Apache Kafka 4.4.0, which was asked, or one that
// makes a client do the right thing where Kafka's says only that it has failed.
func badBatches() []struct {
	name    string
	records []byte
	code    int16
} {
	good := makeBatch(1, 3, 100, 0)
	changed := func(change func(b []byte)) []byte {
		b := bytes.Clone(good)
		change(b)
		return b
	}
	sealed := func(change func(b []byte)) []byte { return seal(changed(change)) }
	put32 := func(at int, v int32) func([]byte) {
		return func(b []byte) { binary.BigEndian.PutUint32(b[at:], uint32(v)) }
	}
	return []struct {
		name    string
		records []byte
		code    int16
	}{
		{"wrong CRC", changed(func(b []byte) { b[17] ^= 1 }), 2},
		{"a flipped bit in the records", changed(func(b []byte) { b[100] ^= 0x10 }), 2},
		{"a flipped bit in the header", changed(func(b []byte) { b[30] ^= 1 }), 2},
		{"magic 0", changed(func(b []byte) { b[16] = 0 }), 87},
		{"magic 1", changed(func(b []byte) { b[16] = 1 }), 87},
		{"magic 3", sealed(func(b []byte) { b[16] = 3 }), 87}, // Kafka: 2, which is retried for minutes
		{"no bytes", []byte{}, 87},
		{"null", nil, 87},
		{"one byte", good[:1], 87},
		{"half a header", good[:60], 87},
		{"header without records", good[:61], 87},
		{"batch longer than its field", good[:len(good)-1], 87},
		{"length of 2^31-1", changed(put32(8, 1<<31-1)), 2}, // Kafka: -1, an unknown error
		{"negative length", changed(put32(8, -1)), 2},
		{"length of 0", changed(put32(8, 0)), 2},
		{"fewer records than offsets", sealed(put32(57, 2)), 87},
		{"more records than offsets", sealed(put32(57, 4)), 87},
		{"no records", sealed(put32(57, 0)), 87},
		{"negative count", sealed(put32(57, -3)), 87},
		{"negative offset delta", sealed(put32(23, -1)), 87},
		{"2^31-1 records", sealed(func(b []byte) { put32(57, 1<<31-1)(b); put32(23, 1<<31-2)(b) }), 87},
		{"5 records of 3", sealed(func(b []byte) { put32(57, 5)(b); put32(23, 4)(b) }), 87},
		{"2 records of 3", sealed(func(b []byte) { put32(57, 2)(b); put32(23, 1)(b) }), 87},
		{"a control batch", sealed(func(b []byte) { b[22] |= 1 << 5 }), 87},
		{"the time of the append", sealed(func(b []byte) { b[22] |= 1 << 3 }), 32}, // Kafka: 0 without LogAppendTime, which clears the bit
		{"a producer without a sequence", sequenced(bytes.Clone(good), 5, 0, -1), 87},
		{"two batches", append(bytes.Clone(good), good...), 87},
		{"garbage behind a batch", append(bytes.Clone(good), 1, 2, 3), 87}, // Kafka: 0, and cuts it
		{"garbage under gzip", sealed(func(b []byte) { b[22] = 1 }), 87},   // Kafka: -1, like those that follow
		{"garbage under Snappy", sealed(func(b []byte) { b[22] = 2 }), 87},
		{"garbage under LZ4", sealed(func(b []byte) { b[22] = 3 }), 87},
		{"garbage under zstd", sealed(func(b []byte) { b[22] = 4 }), 87},
		{"codec 5", sealed(func(b []byte) { b[22] = 5 }), 76},
		{"codec 7", sealed(func(b []byte) { b[22] = 7 }), 76},
		{"a record that is too long", sealed(func(b []byte) { b[62] = 0x7f }), 87},
		{"bytes behind the records", seal(append(bytes.Clone(good), 1, 2)), 87},
		{"an hour and a minute from now", makeBatch(1, 1, 10, time.Now().UnixMilli()+61*60_000), 32},
		{"microseconds", makeBatch(1, 1, 10, time.Now().UnixMicro()), 32},
		{"the least timestamp", makeBatch(1, 1, 10, -1<<63), 32},
		{"above max.message.bytes", makeBatch(2, 1, 11<<10, 0), 10},
	}
}

func TestBadBatchGetsItsErrorCodeAndIsNotAppended(t *testing.T) {
	s := start(t, func(c *Config) { c.Log.MaxBatchBytes = 10 << 10 })
	for _, row := range badBatches() {
		t.Run(row.name, func(t *testing.T) {
			c := s.dial()
			defer c.close()
			topic := "t-" + string(rune('a'+len(row.name)%26)) + hexName(row.name)
			c.create(topic, 2)
			log := &shadow{topic: topic}
			c.publish(log, makeBatch(7, 2, 50, 0))
			// Beside it in the same request is a good batch for another partition.
			beside := &shadow{topic: topic, partition: 1}
			good := makeBatch(8, 1, 50, 0)
			req := produceRequest(8, -1, topic, map[int32][]byte{0: row.records, 1: good})
			for _, p := range c.ask(req).(*kmsg.ProduceResponse).Topics[0].Partitions {
				switch {
				case p.Partition == 1 && p.ErrorCode != 0:
					t.Errorf("the good batch beside it: error %d", p.ErrorCode)
				case p.Partition == 1:
					beside.add(good, p.BaseOffset)
				case p.ErrorCode != row.code || p.BaseOffset != -1 || p.ErrorMessage == nil:
					t.Errorf("error %d (%v), base offset %d, want error %d with a message", p.ErrorCode, p.ErrorMessage, p.BaseOffset, row.code)
				}
			}
			c.publish(log, makeBatch(9, 2, 50, 0))
			if err := c.readAll(11, []*shadow{log, beside}); err != nil {
				t.Error(err)
			}
		})
	}
}

// hexName makes a topic's name out of any text.
func hexName(text string) string {
	var name []byte
	for _, b := range []byte(text) {
		name = append(name, "0123456789abcdef"[b>>4], "0123456789abcdef"[b&15])
	}
	return string(name)
}

func TestProduceThatAsksForWhatIsNotServedIsTold(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	batch := map[int32][]byte{0: makeBatch(1, 1, 10, 0)}
	code := func(req *kmsg.ProduceRequest) int16 {
		return c.ask(req).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
	}
	for _, acks := range []int16{5, 2, -2, 32767} {
		if got := code(produceRequest(7, acks, "feed", batch)); got != 21 {
			t.Errorf("acks=%d: error %d, want 21", acks, got)
		}
	}
	transactional := produceRequest(7, -1, "feed", batch)
	transactional.TransactionID = kmsg.StringPtr("mine")
	if got := code(transactional); got != 53 {
		t.Errorf("transactional: error %d, want 53", got)
	}
	// A transactional batch without a transactional id: Kafka answers so for every partition of the request.
	bit := makeBatch(1, 1, 10, 0)
	bit[22] |= 1 << 4
	both := produceRequest(7, -1, "feed", map[int32][]byte{0: makeBatch(1, 1, 10, 0), 1: seal(bit)})
	for _, p := range c.ask(both).(*kmsg.ProduceResponse).Topics[0].Partitions {
		if p.ErrorCode != 53 {
			t.Errorf("beside a transactional batch: partition %d has error %d, want 53", p.Partition, p.ErrorCode)
		}
	}
	if got := code(produceRequest(7, -1, "other", batch)); got != 3 {
		t.Errorf("unknown topic: error %d, want 3", got)
	}
	for _, partition := range []int32{1, -1, 1 << 30} {
		if got := code(produceRequest(7, -1, "feed", map[int32][]byte{partition: batch[0]})); got != 3 {
			t.Errorf("partition %d: error %d, want 3", partition, got)
		}
	}
	init := kmsg.NewPtrInitProducerIDRequest()
	init.Version, init.TransactionalID = 1, kmsg.StringPtr("mine")
	if got := c.ask(init).(*kmsg.InitProducerIDResponse).ErrorCode; got != 53 {
		t.Errorf("InitProducerId with a transactional id: error %d, want 53", got)
	}
	if p := c.fetchOne(11, wanted{topic: "feed"}); p.HighWatermark != 0 {
		t.Errorf("something was appended: the high watermark is %d", p.HighWatermark)
	}
}

// With acks=0 there is no answer; the next answer belongs to the next request.
func TestProduceWithoutAcksHasNoAnswer(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	for i := range 50 {
		good := makeBatch(uint64(i), 2, 100, 0)
		c.send(produceRequest(7, 0, "feed", map[int32][]byte{0: good}))
		log.add(good, log.end)
		if i%10 == 0 {
			c.alive()
		}
	}
	c.alive()
	if err := c.readAll(11, []*shadow{log}); err != nil {
		t.Error(err)
	}
}

// An error of a produce with acks=0 ends the connection, after what was good in the request: else its producer would send
// to nowhere for ever, and never ask for metadata again.
func TestProduceWithoutAcksThatIsRefusedEndsTheConnection(t *testing.T) {
	s := start(t, nil)
	reader := s.dial()
	reader.create("feed", 2)
	log := &shadow{topic: "feed"}
	bad := makeBatch(1, 2, 100, 0)
	bad[80] ^= 1
	large := compressed(makeBatch(9, 1, 1, 0), 4, 1, 1<<20)
	large[len(large)-1] ^= 1 // the checksum of what is compressed
	for i, req := range []*kmsg.ProduceRequest{
		produceRequest(7, 0, "other", map[int32][]byte{0: makeBatch(1, 1, 10, 0)}),
		produceRequest(7, 0, "feed", map[int32][]byte{7: makeBatch(1, 1, 10, 0)}),
		produceRequest(7, 0, "feed", map[int32][]byte{1: bad}),
		produceRequest(7, 0, "feed", map[int32][]byte{1: nil}),
		produceRequest(7, 0, "feed", map[int32][]byte{1: seal(large)}), // checked in the background
		produceRequest(7, 0, "__consumer_offsets", map[int32][]byte{0: makeBatch(1, 1, 10, 0)}),
	} {
		c := s.dial()
		if len(req.Topics[0].Partitions) == 1 && req.Topics[0].Topic == "feed" {
			good := makeBatch(uint64(i), 1, 10, 0)
			p := kmsg.NewProduceRequestTopicPartition()
			p.Records = good
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, p)
			log.add(good, log.end)
		}
		c.send(req)
		_ = c.conn.SetReadDeadline(time.Now().Add(patience))
		if n, err := c.conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("request %d: %d bytes and %v, want the end of the connection", i, n, err)
		}
	}
	if n := s.stats().Closed["refused"]; n != 6 {
		t.Errorf("%d connections were closed because a produce was refused, want 6", n)
	}
	if err := reader.readAll(11, []*shadow{log}); err != nil {
		t.Error(err)
	}
}

// A tool that copies batches from another broker sends them with the offsets that they had there.
func TestBatchWithABaseOffsetGetsTheLogsOwn(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	for i := range uint64(3) {
		batch := makeBatch(i+1, 2, 50, 0)
		batch[7] = 77
		c.publish(log, batch)
	}
	if err := c.readAll(11, []*shadow{log}); err != nil {
		t.Error(err)
	}
}
