package fanout

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/segment"
	"oneplusn/segment/records"
	"oneplusn/segment/records/compress"
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
	batch = append(bytes.Clone(batch[:61]), compress.Records(int(codec), inflated)...)
	batch[22] |= codec
	binary.BigEndian.PutUint32(batch[23:], uint32(count-1))
	binary.BigEndian.PutUint64(batch[35:], binary.BigEndian.Uint64(batch[27:])+uint64(count-1))
	binary.BigEndian.PutUint32(batch[57:], uint32(count))
	return seal(batch)
}

// Compressed batches are stored byte for byte as sent, whether they are checked on the loop or in the background.
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
	s := start(t, func(c *Config) { c.Log.MaxInflatedBytes = 4 << 20 })
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

// oldLog makes the log of a topic with batches that no producer could write today.
func oldLog(t *testing.T, dir, topic string, batches ...[]byte) {
	t.Helper()
	l, err := segment.Open(filepath.Join(dir, topic+"-0"), segment.Options{MaxBatchBytes: 1 << 24}, segment.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if _, err := l.Append(b, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func (c *dialed) offsetAt(topic string, timestamp int64) kmsg.ListOffsetsResponseTopicPartition {
	c.t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = 1, -1
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = timestamp
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
	return c.ask(req).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
}

// A log may hold a batch that inflates to any size: a look-up by time takes a window of it.
func TestLookUpByTimeInflatesIntoAWindow(t *testing.T) {
	const inflated, allowed = 64 << 20, 16 << 20
	for _, codec := range []byte{1, 3, byte(records.Zstd)} {
		dir := t.TempDir()
		oldLog(t, dir, "feed", compressed(makeBatch(1, 1, 1, 1000), codec, 2, inflated/2))
		s := start(t, func(c *Config) { c.DataDir = dir })
		c := s.dial()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := c.offsetAt("feed", 1001)
		runtime.ReadMemStats(&after)
		if r.ErrorCode != 0 || r.Offset != 1 || r.Timestamp != 1001 {
			t.Errorf("codec %d: error %d, offset %d at %d", codec, r.ErrorCode, r.Offset, r.Timestamp)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > allowed {
			t.Errorf("codec %d: %d bytes were allocated for a batch that inflates to %d", codec, n, inflated)
		}
	}
}

// A batch that cannot be read is found by its header's time, and hides nothing behind it.
func TestPoisonInALogHidesNoLaterRecordFromTimeLookUps(t *testing.T) {
	garbage := makeBatch(1, 3, 50, 1000)
	garbage[22] = byte(records.Zstd)
	tooLarge := compressed(makeBatch(1, 1, 1, 2000), byte(records.Zstd), 1, 2<<20)
	dir := t.TempDir()
	oldLog(t, dir, "feed", seal(garbage), tooLarge, makeBatch(2, 2, 10, 3000))
	s := start(t, func(c *Config) { c.DataDir, c.Log.MaxInflatedBytes = dir, 1<<20 })
	c := s.dial()
	for at, want := range map[int64]int64{500: 0, 1002: 0, 1003: 3, 2000: 3, 2001: 4, 3001: 5, 3002: -1} {
		if r := c.offsetAt("feed", at); r.ErrorCode != 0 || r.Offset != want {
			t.Errorf("at %d: error %d, offset %d, want %d", at, r.ErrorCode, r.Offset, want)
		}
	}
}

// Requests behind one whose batch is checked in the background are answered after it, in order, with acks and without; the
// batch of a client that has disconnected is dropped, with its memory.
func TestBatchesCheckedInTheBackgroundKeepTheOrderOfRequests(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	large := compressed(makeBatch(1, 1, 1, 1000), byte(records.Zstd), 4, 1<<20)
	small := makeBatch(2, 3, 50, 0)
	var requests []*kmsg.ProduceRequest
	var ids []int32
	for i := range 20 {
		for j, batch := range [][]byte{large, small} {
			req := produceRequest(7, int16(-((i + j) % 2)), "feed", map[int32][]byte{0: batch})
			c.send(req)
			log.add(batch, log.end)
			if req.Acks != 0 {
				requests, ids = append(requests, req), append(ids, c.next)
			}
		}
	}
	last := int64(-1)
	for i, req := range requests {
		r := c.receive(req, ids[i]).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		if r.ErrorCode != 0 || r.BaseOffset <= last {
			t.Fatalf("answer %d: error %d, base offset %d after %d", i, r.ErrorCode, r.BaseOffset, last)
		}
		last = r.BaseOffset
	}
	if err := c.readAll(11, []*shadow{log}); err != nil {
		t.Error(err)
	}
	for range 10 {
		gone := s.dial()
		gone.send(produceRequest(7, -1, "feed", map[int32][]byte{0: large}))
		gone.close()
	}
	s.await("the closed clients to be forgotten", func(st Stats) bool { return st.Connections == 1 })
	c.close()
	s.await("the memory to be given back", func(st Stats) bool { return st.Connections == 0 && st.RequestMemory == 0 })
}
