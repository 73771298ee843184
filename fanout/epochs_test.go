package fanout

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/records"
)

// epochEnd asks where an epoch of partition 0 has ended.
func (c *dialed) epochEnd(topic string, current, epoch int32) kmsg.OffsetForLeaderEpochResponseTopicPartition {
	c.t.Helper()
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.Version, req.ReplicaID = 3, -2
	req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: topic,
		Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{CurrentLeaderEpoch: current, LeaderEpoch: epoch}}}}
	return c.ask(req).(*kmsg.OffsetForLeaderEpochResponse).Topics[0].Partitions[0]
}

// metadataEpoch is the leader epoch of partition 0 in Metadata.
func (c *dialed) metadataEpoch(topic string) int32 {
	c.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 7
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr(topic)}}
	return c.ask(req).(*kmsg.MetadataResponse).Topics[0].Partitions[0].LeaderEpoch
}

// fetchWithEpoch is the error of a fetch of a client that knows an epoch.
func (c *dialed) fetchWithEpoch(topic string, offset int64, epoch int32) int16 {
	c.t.Helper()
	req := waitingFetch(topic, 0, offset, 0)
	req.Version = 11
	req.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch
	c.send(req)
	return c.receive(req, c.next).(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode
}

// publishMany appends batches of one record each.
func publishMany(c *dialed, topic string, n int) {
	c.t.Helper()
	for i := range n {
		if r := c.produce(topic, 0, makeBatch(uint64(i), 1, 10, time.Now().UnixMilli())); r.ErrorCode != 0 {
			c.t.Fatalf("record %d: error %d", i, r.ErrorCode)
		}
	}
}

// cutBatches cuts a log behind its first batches, as a loss of power does.
func cutBatches(t *testing.T, dir, partition string, keep int) {
	t.Helper()
	rewriteFile(t, partitionLog(dir, partition), func(b []byte) []byte {
		at := 0
		for range keep {
			h, err := records.CheckBatch(b[at:])
			if err != nil {
				t.Fatal(err)
			}
			at += h.Size()
		}
		return b[:at]
	})
}

func epochLines(t *testing.T, dir, partition string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, partition, "leader-epoch-checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReadersLearnThatALossOfPowerCutTheLog(t *testing.T) {
	dir := t.TempDir()
	in := func(c *Config) { c.DataDir = dir }
	s := start(t, in)
	c := s.dial()
	c.create("feed", 1)
	publishMany(c, "feed", 100)
	c.close()
	s.stop()
	crash(t, dir)
	cutBatches(t, dir, "feed-0", 90)

	s = start(t, in)
	c = s.dial()
	publishMany(c, "feed", 30) // over the offset of the reader, 100
	if epoch := c.metadataEpoch("feed"); epoch != 1 {
		t.Errorf("the epoch is %d", epoch)
	}
	for _, row := range []struct {
		epoch, found int32
		end          int64
	}{{0, 0, 90}, {1, 1, 120}, {2, -1, -1}, {-1, -1, -1}} {
		if p := c.epochEnd("feed", -1, row.epoch); p.ErrorCode != 0 || p.LeaderEpoch != row.found || p.EndOffset != row.end {
			t.Errorf("epoch %d: error %d, epoch %d ends at %d, want %d at %d", row.epoch, p.ErrorCode, p.LeaderEpoch, p.EndOffset, row.found, row.end)
		}
	}
	for epoch, want := range map[int32]int16{-1: 0, 0: wire.CodeFencedLeaderEpoch, 1: 0, 2: wire.CodeUnknownLeaderEpoch} {
		if code := c.fetchWithEpoch("feed", 100, epoch); code != want {
			t.Errorf("a fetch with epoch %d: error %d, want %d", epoch, code, want)
		}
		if p := c.epochEnd("feed", epoch, 0); p.ErrorCode != want {
			t.Errorf("where epoch 0 ends, asked with epoch %d: error %d, want %d", epoch, p.ErrorCode, want)
		}
	}
}

// Nothing is lost by the end of a process, and the next start cannot know: the epoch rises, but an idle log's file stays
// as it is but for the number.
func TestIdleRestartsMakeTheEpochFileNoLonger(t *testing.T) {
	dir := t.TempDir()
	in := func(c *Config) { c.DataDir = dir }
	for round := range 4 {
		s := start(t, in)
		c := s.dial()
		if round == 0 {
			c.create("feed", 1)
			c.create("empty", 1)
			publishMany(c, "feed", 3)
		}
		c.close()
		s.stop()
		if round < 3 {
			crash(t, dir)
		}
	}
	if got := epochLines(t, dir, "feed-0"); got != "0\n2\n0 0\n3 3\n" {
		t.Errorf("the epochs are %q", got)
	}
	if got := epochLines(t, dir, "empty-0"); got != "0\n1\n3 0\n" {
		t.Errorf("the epochs of an empty log are %q", got)
	}
	// A clean stop loses nothing.
	s := start(t, in)
	if epoch := s.dial().metadataEpoch("feed"); epoch != 3 {
		t.Errorf("after a clean stop the epoch is %d", epoch)
	}
}

// A repair, or a copy of some time ago, holds less than the log did, and the stop was clean.
func TestLogThatHoldsLessThanItDidGetsANewEpoch(t *testing.T) {
	dir := t.TempDir()
	in := func(c *Config) { c.DataDir = dir }
	s := start(t, in)
	c := s.dial()
	c.create("feed", 1)
	publishMany(c, "feed", 10)
	c.close()
	s.stop()
	cutBatches(t, dir, "feed-0", 6)
	for _, suffix := range []string{".index", ".timeindex"} { // as oneplusn repair leaves it
		if err := os.Remove(filepath.Join(dir, "feed-0", "00000000000000000000"+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	s = start(t, in)
	c = s.dial()
	publishMany(c, "feed", 10)
	if p := c.epochEnd("feed", -1, 0); p.EndOffset != 6 {
		t.Errorf("epoch 0 ends at %d", p.EndOffset)
	}
}

func TestTopicThatIsMadeAgainFencesReadersOfTheOneBefore(t *testing.T) {
	dir := t.TempDir()
	in := func(c *Config) { c.DataDir = dir }
	s := start(t, in)
	c := s.dial()
	last := int32(-1)
	for round := range 4 {
		if round == 2 { // across a restart
			c.close()
			s.stop()
			s = start(t, in)
			c = s.dial()
		}
		c.create("feed", 1)
		publishMany(c, "feed", 6)
		epoch := c.metadataEpoch("feed")
		if round == 0 && epoch != 0 {
			t.Errorf("a new directory begins with epoch %d", epoch)
		}
		if epoch <= last {
			t.Errorf("round %d: the epoch is %d, the life before had %d", round, epoch, last)
		}
		if round > 0 {
			if code := c.fetchWithEpoch("feed", 5, last); code != wire.CodeFencedLeaderEpoch {
				t.Errorf("round %d: a reader of the life before gets error %d", round, code)
			}
			if p := c.epochEnd("feed", epoch, last); p.ErrorCode != 0 || p.EndOffset != 0 {
				t.Errorf("round %d: the epoch of the life before ends at %d, error %d", round, p.EndOffset, p.ErrorCode)
			}
		}
		last = epoch
		c.remove("feed")
	}
	// A server that is killed after the answer has not forgotten.
	c.close()
	s.stop()
	crash(t, dir)
	s = start(t, in)
	c = s.dial()
	c.create("feed", 1)
	if epoch := c.metadataEpoch("feed"); epoch <= last {
		t.Errorf("after a crash the epoch is %d, the life before had %d", epoch, last)
	}
	if points, err := segment.ReadCheckpoint(segment.OS, filepath.Join(dir, segment.RecoveryPointFile)); err != nil || points["feed-0"] != 0 {
		t.Errorf("the recovery point of the life before is kept: %v, %v", points, err)
	}
}

func TestUnreadableReserveOfEpochsBeginsFarAbove(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "garbage": "x\n", "negative": "-4\n", "too large": "99999999999\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, catalog.LeaderEpochFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s := start(t, func(c *Config) { c.DataDir = dir })
		c := s.dial()
		c.create("feed", 1)
		if epoch := c.metadataEpoch("feed"); epoch < catalog.LeaderEpochsUnknown {
			t.Errorf("%s: a topic begins with epoch %d", name, epoch)
		}
		c.close()
		s.stop()
	}
}

// A real client that has read beyond the log's new end notices, and continues where the log was cut.
func TestConsumerIsToldThatItsRecordsAreGone(t *testing.T) {
	for _, how := range []string{"cut", "deleted and made again"} {
		t.Run(how, func(t *testing.T) { consumerIsTold(t, how) })
	}
}

func consumerIsTold(t *testing.T, how string) {
	dir := t.TempDir()
	s := start(t, func(c *Config) { c.DataDir = dir })
	address := s.broker.Address()
	c := s.dial()
	c.create("feed", 1)
	publishMany(c, "feed", 100)
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"feed": {0: kgo.NewOffset().At(0)}}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	for read := 0; read < 100; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		read += fetches.NumRecords()
	}
	want := int64(90)
	if how == "cut" {
		c.close()
		s.broker.Stop()
		s.awaitEnd() // what is held is looked at when the consumer is gone
		crash(t, dir)
		cutBatches(t, dir, "feed-0", 90)
		s = start(t, func(c *Config) { c.DataDir, c.Listen = dir, address })
		c = s.dial()
	} else {
		want = 0
		c.remove("feed")
		c.create("feed", 1)
	}
	publishMany(c, "feed", 150)
	next, told := int64(100), false
	for next < 150 || !told {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("it was told: %v, and is at %d", told, next)
		}
		fetches.EachError(func(_ string, _ int32, err error) {
			var loss *kgo.ErrDataLoss
			if errors.As(err, &loss) {
				told, next = true, loss.ResetTo
			}
		})
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset != next {
				t.Fatalf("offset %d comes, %d is next, it was told: %v", r.Offset, next, told)
			}
			next++
			if told && next == want+1 {
				want = -1
			}
		})
	}
	if want != -1 {
		t.Errorf("it did not go on at %d", want)
	}
}
