package fanout

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/transfer"
)

// cramped makes everything small that a mode has to get along with: a ring of four entries, few small pipes, chunks
// that are no multiple of a page.
func cramped(mode transfer.Mode) func(*Config) {
	return func(c *Config) {
		c.Ring.Entries = 4
		c.Transfer = transfer.Config{Mode: mode, PipeBytes: 64 << 10, MaxPipes: 3, ChunkBytes: 100_001,
			CopyBytes: 300_003, SpliceFromBytes: 16 << 10}
		c.SendBufferBytes = 128 << 10
	}
}

// publishSome fills three partitions with batches of very different sizes.
func publishSome(c *dialed, topic string) []*shadow {
	random := rand.New(rand.NewPCG(1, 2))
	logs := make([]*shadow, 3)
	for p := range logs {
		logs[p] = &shadow{topic: topic, partition: int32(p)}
		for i := range 30 {
			size := 10 + random.IntN(40)
			if i%7 == 3 {
				size = 2000 + random.IntN(20_000)
			}
			c.publish(logs[p], makeBatch(random.Uint64(), 1+random.IntN(20), size, 1000))
		}
	}
	return logs
}

func TestEveryModeDeliversWhatWasPublishedByteForByte(t *testing.T) {
	for _, mode := range transfer.Modes() {
		t.Run(mode.String(), func(t *testing.T) {
			s := start(t, cramped(mode))
			publisher := s.dial()
			publisher.create("feed", 3)
			clients := make([]*dialed, 8)
			waiting := waitingFetch("feed", 0, 0, longMillis)
			for i := range clients {
				clients[i] = s.dial()
				clients[i].send(waiting)
			}
			s.awaitWaiting(len(clients)) // one publish for all of them is more than the ring holds
			logs := publishSome(publisher, "feed")
			results := make(chan error)
			for i, c := range clients {
				if got := recordsOf(t, c.receive(waiting, c.next)); !bytes.HasPrefix(logs[0].from(0), got) || len(got) == 0 {
					t.Errorf("a waiting subscriber got %d bytes that are not the log's first", len(got))
				}
				go func() { results <- c.readAll(int16(4+i), logs) }()
			}
			for range clients {
				if err := <-results; err != nil {
					t.Error(err)
				}
			}
			if st := s.stats(); st.Ring.QueuedWhenFull == 0 {
				t.Error("the ring was never full: the test tests less than it means to")
			}
		})
	}
}

// readAll reads every partition from its start to its end, all of them in each fetch, and compares.
func (c *dialed) readAll(version int16, logs []*shadow) error {
	got := make([][]byte, len(logs))
	offsets := make([]int64, len(logs))
	for {
		var wants []wanted
		left := false
		for p, l := range logs {
			wants = append(wants, wanted{l.topic, l.partition, offsets[p], 200_000})
			left = left || offsets[p] < l.end
		}
		if !left {
			break
		}
		req := fetchRequest(version, wants...)
		req.MaxBytes = 400_000
		if _, err := c.conn.Write(c.frame(req)); err != nil {
			return err
		}
		frame, err := readFrame(c.conn)
		if err != nil {
			return fmt.Errorf("version %d: %w", version, err)
		}
		resp, err := parseResponse(frame, req, c.next)
		if err != nil {
			return err
		}
		for i, p := range resp.(*kmsg.FetchResponse).Topics[0].Partitions {
			if p.ErrorCode != 0 || p.Partition != logs[i].partition || p.HighWatermark != logs[i].end {
				return fmt.Errorf("version %d: partition %d: error %d, high watermark %d, want %d",
					version, p.Partition, p.ErrorCode, p.HighWatermark, logs[i].end)
			}
			if len(p.RecordBatches) == 0 {
				continue
			}
			got[i] = append(got[i], p.RecordBatches...)
			if offsets[i], err = offsetAfter(p.RecordBatches); err != nil {
				return err
			}
		}
	}
	for i, l := range logs {
		if !bytes.Equal(got[i], l.from(0)) {
			return fmt.Errorf("version %d: partition %d: %d bytes came that are not the %d published", version, i, len(got[i]), len(l.from(0)))
		}
	}
	return nil
}

// A fetch begins with the batch that contains the offset, whichever record of it that is.
func TestFetchFromTheMiddleOfABatchBeginsWithThatBatch(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	for i := range 20 {
		c.publish(log, makeBatch(uint64(i), 7, 500, 0))
	}
	for offset := range log.end {
		p := c.fetchOne(11, wanted{topic: "feed", offset: offset})
		if p.ErrorCode != 0 || !bytes.Equal(p.RecordBatches, log.from(offset)) {
			t.Fatalf("offset %d: error %d, %d bytes, want %d", offset, p.ErrorCode, len(p.RecordBatches), len(log.from(offset)))
		}
	}
}

// KIP-74: a consumer gets on however small its limits are, but only the very first batch may break any.
func TestFirstBatchIsSentWholeHoweverSmallTheLimits(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 2)
	logs := []*shadow{{topic: "feed"}, {topic: "feed", partition: 1}}
	for i := range 3 {
		c.publish(logs[0], makeBatch(uint64(i), 1, 50_000, 0))
		c.publish(logs[1], makeBatch(uint64(i), 1, 50_000, 0))
	}
	each := int32(len(logs[0].batches[0]))
	for _, version := range []int16{4, 11} {
		for _, row := range []struct {
			fetch, partition int32
			second           bool // the second partition's first batch fits
		}{{1, 1, false}, {1, 1 << 20, false}, {0, 0, false}, {-1, -1, false},
			{2*each - 1, each, false}, {2 * each, each - 1, false}, {2 * each, each, true},
		} {
			req := fetchRequest(version, wanted{"feed", 0, 0, row.partition}, wanted{"feed", 1, 0, row.partition})
			req.Topics[0].Partitions[0].PartitionMaxBytes, req.Topics[0].Partitions[1].PartitionMaxBytes = row.partition, row.partition
			req.MaxBytes = row.fetch
			// Each on a connection of its own: the next fetch of one begins with the second partition.
			got := s.dial().ask(req).(*kmsg.FetchResponse).Topics[0].Partitions
			if !bytes.Equal(got[0].RecordBatches, logs[0].batches[0]) {
				t.Errorf("v%d, %+v: the first partition got %d bytes, want its first batch", version, row, len(got[0].RecordBatches))
			}
			var want []byte
			if row.second {
				want = logs[1].batches[0]
			}
			if got[1].ErrorCode != 0 || !bytes.Equal(got[1].RecordBatches, want) {
				t.Errorf("v%d, %+v: the second partition got error %d and %d bytes, want %d", version, row,
					got[1].ErrorCode, len(got[1].RecordBatches), len(want))
			}
		}
	}
}

func TestFetchSendsWholeBatchesWithinItsLimits(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	for i := range 10 {
		c.publish(log, makeBatch(uint64(i), 1, 1000, 0))
	}
	each := len(log.batches[0])
	for _, n := range []int{1, 3, 9, 10} {
		for _, slack := range []int{0, 1, each - 1} {
			p := c.fetchOne(11, wanted{"feed", 0, 0, int32(n*each + slack)})
			if want := bytes.Join(log.batches[:n], nil); !bytes.Equal(p.RecordBatches, want) {
				t.Errorf("room for %d batches and %d bytes: %d bytes came, want %d", n, slack, len(p.RecordBatches), len(want))
			}
		}
	}
}

func TestFetchErrorsAreToldByPartition(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	c.publish(log, makeBatch(1, 3, 100, 0))
	c.create("beside", 1)
	beside := &shadow{topic: "beside"}
	c.publish(beside, makeBatch(2, 3, 100, 0))
	for _, row := range []struct {
		name string
		want wanted
		code int16
		hw   int64
	}{
		{"before the log", wanted{topic: "feed", offset: -1}, 1, 3},
		{"far before the log", wanted{topic: "feed", offset: -1 << 62}, 1, 3},
		{"behind the log", wanted{topic: "feed", offset: 4}, 1, 3},
		{"far behind the log", wanted{topic: "feed", offset: 1<<63 - 1}, 1, 3},
		{"at the end", wanted{topic: "feed", offset: 3}, 0, 3},
		{"unknown topic", wanted{topic: "other", offset: 0}, 3, -1},
		{"unknown partition", wanted{topic: "feed", partition: 1}, 3, -1},
		{"negative partition", wanted{topic: "feed", partition: -1}, 3, -1},
		{"name that no topic can have", wanted{topic: "../../etc", partition: 0}, 3, -1},
		{"empty name", wanted{topic: "", partition: 0}, 3, -1},
	} {
		for version := int16(4); version <= 11; version++ {
			req := fetchRequest(version, row.want, wanted{topic: "beside", offset: 0})
			resp := c.ask(req).(*kmsg.FetchResponse)
			first, last := resp.Topics[0].Partitions[0], resp.Topics[len(resp.Topics)-1]
			if first.ErrorCode != row.code || first.HighWatermark != row.hw || len(first.RecordBatches) != 0 {
				t.Errorf("%s, v%d: error %d, high watermark %d, want %d and %d", row.name, version, first.ErrorCode,
					first.HighWatermark, row.code, row.hw)
			}
			if p := last.Partitions[len(last.Partitions)-1]; p.ErrorCode != 0 || !bytes.Equal(p.RecordBatches, beside.from(0)) {
				t.Errorf("%s, v%d: the partition beside it got error %d and %d bytes", row.name, version, p.ErrorCode, len(p.RecordBatches))
			}
		}
	}
}

// A client that names another leader or an unknown session gets an error.
func TestFetchRefusesWrongEpochsAndSessions(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	for epoch, code := range map[int32]int16{-1: 0, 0: 0, 1: 75, 1 << 30: 75, -2: 0} {
		req := fetchRequest(11, wanted{topic: "feed"})
		req.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch
		if got := c.ask(req).(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode; got != code {
			t.Errorf("leader epoch %d: error %d, want %d", epoch, got, code)
		}
	}
	req := fetchRequest(7, wanted{topic: "feed"})
	req.SessionID, req.SessionEpoch = 77, 5
	if resp := c.ask(req).(*kmsg.FetchResponse); resp.ErrorCode != 70 || len(resp.Topics) != 0 {
		t.Errorf("session 77: error %d and %d topics, want 70 and none", resp.ErrorCode, len(resp.Topics))
	}
	for _, epoch := range []int32{0, -1} {
		req.SessionID, req.SessionEpoch = 0, epoch
		if resp := c.ask(req).(*kmsg.FetchResponse); resp.ErrorCode != 0 || (resp.SessionID != 0) != (epoch == 0) || len(resp.Topics) != 1 {
			t.Errorf("session epoch %d: error %d, session %d, %d topics", epoch, resp.ErrorCode, resp.SessionID, len(resp.Topics))
		}
	}
}

func TestEveryProduceVersionIsAnsweredInItsOwnForm(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 2)
	logs := []*shadow{{topic: "feed"}, {topic: "feed", partition: 1}}
	for version := int16(3); version <= 8; version++ {
		for _, acks := range []int16{1, -1} {
			batches := map[int32][]byte{0: makeBatch(uint64(version), 2, 100, 0), 1: makeBatch(uint64(version), 3, 200, 0)}
			for _, p := range c.ask(produceRequest(version, acks, "feed", batches)).(*kmsg.ProduceResponse).Topics[0].Partitions {
				log := logs[p.Partition]
				if p.ErrorCode != 0 || p.BaseOffset != log.end || p.LogAppendTime != -1 {
					t.Fatalf("v%d: %+v, want base offset %d", version, p, log.end)
				}
				log.add(batches[p.Partition], p.BaseOffset)
			}
		}
	}
	if err := c.readAll(11, logs); err != nil {
		t.Error(err)
	}
}

func TestListOffsetsFindsStartEndAndTimes(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	for i := range 200 { // 10 records a batch, a millisecond apart
		c.publish(log, makeBatch(uint64(i), 10, 300, int64(1_000_000+10*i)))
	}
	for _, row := range []struct{ timestamp, offset, found int64 }{
		{-1, 2000, -1}, {-2, 0, -1}, {0, 0, 1_000_000}, {1_000_000, 0, 1_000_000}, {1_000_001, 1, 1_000_001},
		{1_001_234, 1234, 1_001_234}, {1_001_999, 1999, 1_001_999}, {1_002_000, -1, -1}, {1<<63 - 1, -1, -1},
	} {
		for version := int16(0); version <= 5; version++ {
			req := kmsg.NewPtrListOffsetsRequest()
			req.Version, req.ReplicaID = version, -1
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Timestamp, p.MaxNumOffsets = row.timestamp, 1
			req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "feed", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
			got := c.ask(req).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
			if version == 0 {
				if row.offset >= 0 && (len(got.OldStyleOffsets) != 1 || got.OldStyleOffsets[0] != row.offset) {
					t.Errorf("v0, timestamp %d: offsets %v, want %d", row.timestamp, got.OldStyleOffsets, row.offset)
				}
				continue
			}
			if got.ErrorCode != 0 || got.Offset != row.offset || got.Timestamp != row.found {
				t.Errorf("v%d, timestamp %d: error %d, offset %d at %d, want %d at %d", version, row.timestamp, got.ErrorCode,
					got.Offset, got.Timestamp, row.offset, row.found)
			}
		}
	}
}

// What was acknowledged is there after a restart, with the same offsets and identities.
func TestRestartKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	here := func(c *Config) { c.DataDir = dir }
	log := &shadow{topic: "feed"}
	first := start(t, here)
	c := first.dial()
	c.create("feed", 2)
	for i := range 20 {
		c.publish(log, makeBatch(uint64(i), 3, 1000, 0))
	}
	ids := map[int64]bool{}
	ids[c.producerID()] = true
	cluster := c.clusterID()
	c.close()
	first.stop()

	second := start(t, here)
	c = second.dial()
	if err := c.readAll(11, []*shadow{log, {topic: "feed", partition: 1}}); err != nil {
		t.Error(err)
	}
	c.publish(log, makeBatch(99, 1, 10, 0))
	if id := c.producerID(); ids[id] {
		t.Errorf("producer id %d was given out twice", id)
	}
	if again := c.clusterID(); again != cluster || cluster == "" {
		t.Errorf("the cluster id was %q and is %q", cluster, again)
	}
}

func (c *dialed) producerID() int64 {
	c.t.Helper()
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version = 1
	resp := c.ask(req).(*kmsg.InitProducerIDResponse)
	if resp.ErrorCode != 0 {
		c.t.Fatalf("InitProducerId: error %d", resp.ErrorCode)
	}
	return resp.ProducerID
}

func (c *dialed) clusterID() string {
	c.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 8
	resp := c.ask(req).(*kmsg.MetadataResponse)
	if resp.ClusterID == nil {
		return ""
	}
	return *resp.ClusterID
}

// Segments end and begin under a reader that never notices.
func TestReadingGoesOnAcrossSegments(t *testing.T) {
	s := start(t, func(c *Config) { c.Log.SegmentBytes = 16 << 10; c.Log.MaxBatchBytes = 16 << 10 })
	c := s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	for i := range 60 {
		c.publish(log, makeBatch(uint64(i), 4, 700, 0))
	}
	if n := len(log.from(0)); n < 8*16<<10 {
		t.Fatalf("%d bytes are not enough for eight segments", n)
	}
	if err := c.readAll(11, []*shadow{log}); err != nil {
		t.Error(err)
	}
}
