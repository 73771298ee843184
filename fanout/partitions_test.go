package fanout

import (
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
)

// createPartitions asks for a topic to have so many partitions.
func (c *dialed) createPartitions(topic string, count int32) int16 {
	c.t.Helper()
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Version = 1
	req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: topic, Count: count}}
	return c.ask(req).(*kmsg.CreatePartitionsResponse).Topics[0].ErrorCode
}

func TestTopicsGetMorePartitionsAndNeverFewer(t *testing.T) {
	dir := t.TempDir()
	change := func(c *Config) { c.DataDir = dir }
	s := start(t, change)
	c := s.dial()
	c.create("feed", 2)
	for _, row := range []struct {
		topic string
		count int32
		want  int16
	}{{"feed", 5, 0}, {"feed", 5, 37}, {"feed", 1, 37}, {"feed", catalog.MaxTopicPartitions + 1, 37}, {"feed", -1, 37}, {"nothing", 3, 3}} {
		if got := c.createPartitions(row.topic, row.count); got != row.want {
			t.Errorf("%s with %d: error %d, want %d", row.topic, row.count, got, row.want)
		}
	}
	dry := kmsg.NewPtrCreatePartitionsRequest()
	dry.ValidateOnly = true
	dry.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "feed", Count: 7}}
	if code := c.ask(dry).(*kmsg.CreatePartitionsResponse).Topics[0].ErrorCode; code != 0 {
		t.Errorf("validating alone: error %d", code)
	}
	log := &shadow{topic: "feed", partition: 4}
	c.publish(log, makeBatch(1, 3, 10, 0))
	if r := c.produce("feed", 5, makeBatch(1, 1, 10, 0)); r.ErrorCode != 3 {
		t.Errorf("a partition that was only validated: error %d, want 3", r.ErrorCode)
	}
	c.close()
	s.stop()
	s = start(t, change)
	c = s.dial()
	if p := c.fetchOne(11, wanted{topic: "feed", partition: 4}); p.HighWatermark != 3 {
		t.Errorf("after a restart the new partition ends at %d", p.HighWatermark)
	}
}

func TestLogDirectoriesAreDescribed(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 2)
	c.create("other", 1)
	log := &shadow{topic: "feed", partition: 1}
	c.publish(log, makeBatch(1, 3, 1000, 0))
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.Version = 1
	all := c.ask(req).(*kmsg.DescribeLogDirsResponse).Dirs
	if len(all) != 1 || !filepath.IsAbs(all[0].Dir) || len(all[0].Topics) != 2 || len(all[0].Topics[0].Partitions) != 2 {
		t.Fatalf("all: %+v", all)
	}
	if got, want := all[0].Topics[0].Partitions[1].Size, int64(len(log.batches[0])); got != want {
		t.Errorf("the partition has %d bytes, want %d", got, want)
	}
	req.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: "feed", Partitions: []int32{1, 9}}, {Topic: "nothing", Partitions: []int32{0}}}
	some := c.ask(req).(*kmsg.DescribeLogDirsResponse).Dirs
	if len(some) != 1 || len(some[0].Topics) != 1 || len(some[0].Topics[0].Partitions) != 1 {
		t.Errorf("some: %+v", some)
	}
}

func TestLeaderEpochEndsWhereTheLogDoes(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	c.publish(&shadow{topic: "feed"}, makeBatch(1, 3, 10, 0))
	for _, row := range []struct {
		topic          string
		current, epoch int32
		code           int16
		end            int64
	}{{"feed", -1, 0, 0, 3}, {"feed", 0, 0, 0, 3}, {"feed", 5, 0, 75, -1}, {"feed", -1, 7, 0, -1}, {"feed", -1, -1, 0, -1}, {"nothing", -1, 0, 3, -1}} {
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		req.Version, req.ReplicaID = 3, -1
		req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: row.topic,
			Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{CurrentLeaderEpoch: row.current, LeaderEpoch: row.epoch}}}}
		p := c.ask(req).(*kmsg.OffsetForLeaderEpochResponse).Topics[0].Partitions[0]
		if p.ErrorCode != row.code || p.EndOffset != row.end {
			t.Errorf("%+v: error %d, end %d", row, p.ErrorCode, p.EndOffset)
		}
	}
}
