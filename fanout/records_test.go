package fanout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// makeBatch is a record batch as a producer sends it: count records with random values of valueBytes each, the first
// timestamp and one millisecond more for each that follows.
func makeBatch(seed uint64, count, valueBytes int, timestampMillis int64) []byte {
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	var records []byte
	value := make([]byte, valueBytes)
	for i := range count {
		_, _ = random.Read(value)
		r := kmsg.Record{TimestampDelta64: int64(i), OffsetDelta: int32(i), Value: value}
		body := r.AppendTo(nil)[1:] // without the length, which is still 0 and takes one byte
		r.Length = int32(len(body))
		records = r.AppendTo(records)
	}
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1,
		Magic:                2,
		LastOffsetDelta:      int32(count - 1),
		FirstTimestamp:       timestampMillis,
		MaxTimestamp:         timestampMillis + int64(count-1),
		ProducerID:           -1,
		ProducerEpoch:        -1,
		FirstSequence:        -1,
		NumRecords:           int32(count),
		Records:              records,
	}
	raw := b.AppendTo(nil)
	return seal(raw)
}

// seal fills in a batch's length and CRC after its bytes were changed.
func seal(raw []byte) []byte {
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// shadow has the expected content of a partition: the batches published to it, with their offsets.
type shadow struct {
	topic     string
	partition int32
	batches   [][]byte
	bases     []int64
	end       int64
	epoch     int32 // above the log's first if a topic was deleted before: see leaderEpochs
}

// add notes a batch that was acknowledged at base.
func (s *shadow) add(batch []byte, base int64) {
	stored := bytes.Clone(batch)
	binary.BigEndian.PutUint64(stored, uint64(base))
	binary.BigEndian.PutUint32(stored[12:], uint32(s.epoch))
	s.batches, s.bases = append(s.batches, stored), append(s.bases, base)
	s.end = base + int64(binary.BigEndian.Uint32(stored[23:])) + 1
}

// from is everything from the batch on that contains the offset.
func (s *shadow) from(offset int64) []byte {
	i := 0
	for i+1 < len(s.bases) && s.bases[i+1] <= offset {
		i++
	}
	return bytes.Join(s.batches[i:], nil)
}

// offsetAfter is the offset that follows whole batches, and an error if there are none or they are not whole.
func offsetAfter(raw []byte) (int64, error) {
	if len(raw) == 0 {
		return 0, fmt.Errorf("there is no batch")
	}
	next := int64(-1)
	for len(raw) > 0 {
		if len(raw) < 61 {
			return 0, fmt.Errorf("%d bytes are no batch", len(raw))
		}
		size := 12 + int(binary.BigEndian.Uint32(raw[8:]))
		if size > len(raw) {
			return 0, fmt.Errorf("a batch of %d bytes in %d", size, len(raw))
		}
		next = int64(binary.BigEndian.Uint64(raw)) + int64(binary.BigEndian.Uint32(raw[23:])) + 1
		raw = raw[size:]
	}
	return next, nil
}

// produceRequest publishes batches to partitions of one topic.
func produceRequest(version, acks int16, topic string, partitions map[int32][]byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, acks, 10_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	for partition, records := range partitions {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = partition, records
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	return req
}

// produce publishes to one partition and returns its answer.
func (c *dialed) produce(topic string, partition int32, records []byte) kmsg.ProduceResponseTopicPartition {
	c.t.Helper()
	req := produceRequest(7, -1, topic, map[int32][]byte{partition: records})
	return c.ask(req).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
}

// publish publishes one batch that must be accepted, and notes it.
func (c *dialed) publish(s *shadow, batch []byte) {
	c.t.Helper()
	r := c.produce(s.topic, s.partition, batch)
	if r.ErrorCode != 0 {
		c.t.Fatalf("publishing to %s-%d: error %d", s.topic, s.partition, r.ErrorCode)
	}
	if r.BaseOffset != s.end {
		c.t.Fatalf("publishing to %s-%d: base offset %d, want %d", s.topic, s.partition, r.BaseOffset, s.end)
	}
	s.add(batch, r.BaseOffset)
}

// wanted is one partition of a fetch.
type wanted struct {
	topic     string
	partition int32
	offset    int64
	maxBytes  int32 // 0 means a mebibyte
}

// fetchRequest asks for partitions at once: nothing is waited for unless the caller sets it.
func fetchRequest(version int16, wants ...wanted) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID, req.MaxBytes, req.MinBytes = version, -1, 50<<20, 1
	for _, w := range wants {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != w.topic {
			t := kmsg.NewFetchRequestTopic()
			t.Topic = w.topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = w.partition, w.offset, w.maxBytes
		if w.maxBytes == 0 {
			p.PartitionMaxBytes = 1 << 20
		}
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	return req
}

// waitingFetch is a fetch that waits for one byte of one partition.
func waitingFetch(topic string, partition int32, offset int64, maxWaitMillis int32) *kmsg.FetchRequest {
	req := fetchRequest(11, wanted{topic: topic, partition: partition, offset: offset})
	req.MaxWaitMillis = maxWaitMillis
	return req
}

// fetchOne fetches from one partition.
func (c *dialed) fetchOne(version int16, w wanted) kmsg.FetchResponseTopicPartition {
	c.t.Helper()
	resp := c.ask(fetchRequest(version, w)).(*kmsg.FetchResponse)
	return resp.Topics[0].Partitions[0]
}
