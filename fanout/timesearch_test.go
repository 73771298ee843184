package fanout

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// offsetOfTime asks for the first offset of a time.
func (c *dialed) offsetOfTime(topic string, partition int32, timestamp int64, isolation int8) kmsg.ListOffsetsResponseTopicPartition {
	c.t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID, req.IsolationLevel = 5, -1, isolation
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = partition, timestamp, -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return c.ask(req).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
}

// A search by time gives the first record of that time or later that can be read, wherever the log begins, be it in the
// middle of a batch, or a batch of an older one that has the latest time.
func TestOffsetOfATimeIsNotBelowTheStartOfTheLog(t *testing.T) {
	s := start(t, func(c *Config) { c.Log.RetentionAge, c.Log.SegmentBytes = -1, 1<<20 })
	c := s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	// 10 batches of 10 records, a second apart, in segments of three batches; batch 1 is from the future.
	for i := range int64(10) {
		at := i * 1000
		if i == 1 {
			at = 8500
		}
		c.publish(log, makeBatch(uint64(i), 10, 34_000, at))
	}
	if n := logFiles(t, s, "feed-0"); n < 3 {
		t.Fatalf("%d segments", n)
	}
	check := func(timestamp, want int64) {
		t.Helper()
		if r := c.offsetOfTime("feed", 0, timestamp, 0); r.ErrorCode != 0 || r.Offset != want || want >= 0 && r.Timestamp < timestamp {
			t.Errorf("time %d: error %d, offset %d of time %d, want %d", timestamp, r.ErrorCode, r.Offset, r.Timestamp, want)
		}
	}
	check(0, 0)
	check(5, 5)
	check(3003, 10) // the future came first
	check(8505, 15)
	check(9010, -1)
	for _, start := range []int64{13, 15, 20, 37, 45, 95} {
		if low, code := c.deleteRecords("feed", start); code != 0 || low != start {
			t.Fatalf("deleting up to %d: error %d, %d", start, code, low)
		}
		if start <= 15 {
			check(8505, 15)
		} else {
			check(8505, max(90, start))
		}
		if start >= 20 {
			check(3003, max(33, start))
		}
		check(0, start)
		check(9009, 99)
		check(9010, -1)
		if p := c.fetchOne(11, wanted{topic: "feed", offset: start}); p.ErrorCode != 0 || len(p.RecordBatches) == 0 {
			t.Errorf("fetch at %d: error %d", start, p.ErrorCode)
		}
	}
	if low, code := c.deleteRecords("feed", 100); code != 0 || low != 100 {
		t.Fatalf("error %d, %d", code, low)
	}
	check(0, -1)
}

// A reader of committed data is given no offset that it can't read, as by Apache Kafka.
func TestOffsetOfATimeIsBelowTheLastStableOffsetForReadersOfCommittedData(t *testing.T) {
	dir := t.TempDir()
	openTransactionAt(t, dir, 100)
	s := start(t, func(c *Config) { c.DataDir, c.Log.RetentionAge = dir, -1 })
	c := s.dial()
	for _, row := range []struct{ timestamp, uncommitted, committed int64 }{
		{50, 50, 50}, {99, 99, 99}, {100, 100, -1}, {250, 250, -1}, {300, -1, -1},
	} {
		if r := c.offsetOfTime("feed", 0, row.timestamp, 0); r.Offset != row.uncommitted || r.ErrorCode != 0 {
			t.Errorf("time %d: error %d, offset %d, want %d", row.timestamp, r.ErrorCode, r.Offset, row.uncommitted)
		}
		if r := c.offsetOfTime("feed", 0, row.timestamp, 1); r.Offset != row.committed || r.ErrorCode != 0 {
			t.Errorf("time %d, committed: error %d, offset %d, want %d", row.timestamp, r.ErrorCode, r.Offset, row.committed)
		}
	}
	if r := c.offsetOfTime("feed", 7, 5, 0); r.ErrorCode != wire.CodeUnknownTopicOrPartition {
		t.Errorf("error %d", r.ErrorCode)
	}
}
