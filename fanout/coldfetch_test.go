package fanout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/transfer"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/records"
)

// coldServer is a server of two topics whose pages are in the page cache or not, as the test says.
type coldServer struct {
	*server
	disk *gateFS
	logs []*shadow
}

// startColdServer has logs of some partitions, with batches of 120 bytes to 60 KB in segments of 1 MiB, and nothing of them
// in the page cache.
func startColdServer(t *testing.T, partitions int32, batches int, random *rand.Rand) *coldServer {
	t.Helper()
	disk := newGateFS()
	s := &coldServer{disk: disk, server: start(t, func(c *Config) { c.Log.FS, c.Log.SegmentBytes = disk, 1<<20 })}
	c := s.dial()
	c.create("feed", partitions)
	for i := range partitions {
		log := &shadow{topic: "feed", partition: i}
		for n := range batches {
			size := random.IntN(400)
			if random.IntN(5) == 0 {
				size = random.IntN(60_000)
			}
			c.publish(log, makeBatch(uint64(n), 1+random.IntN(3), size, 0))
		}
		s.logs = append(s.logs, log)
	}
	disk.cold.Store(100)
	return s
}

func seeded(t *testing.T, seed uint64) *rand.Rand {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 7))
}

// checkAnswer checks one partition's records as sarama does, which takes a batch below its offset for the end of them: the
// first batch has the offset, and only if it is alone is there more than the limit.
func checkAnswer(log *shadow, got []byte, offset, limit int64) error {
	want, got := log.from(offset), ofFirstEpoch(got)
	switch {
	case len(got) == 0 || !bytes.HasPrefix(want, got):
		return fmt.Errorf("%d bytes came from offset %d on, and are not the first of %d", len(got), offset, len(want))
	case offset > int64(binary.BigEndian.Uint64(got))+int64(binary.BigEndian.Uint32(got[23:])):
		return fmt.Errorf("the first batch ends below offset %d", offset)
	}
	first := 12 + int64(binary.BigEndian.Uint32(got[8:]))
	if int64(len(got)) > limit && int64(len(got)) != first {
		return fmt.Errorf("%d bytes came, allowed are %d, or the first batch of %d", len(got), limit, first)
	}
	_, err := offsetAfter(got)
	return err
}

// ofFirstEpoch is a copy of batches without the leader epochs, which differ after a start.
func ofFirstEpoch(raw []byte) []byte {
	raw = bytes.Clone(raw)
	for at := 0; at+16 <= len(raw); at += 12 + int(binary.BigEndian.Uint32(raw[at+8:])) {
		binary.BigEndian.PutUint32(raw[at+12:], 0)
	}
	return raw
}

func TestFetchBeginsWithTheBatchThatHoldsItsOffset(t *testing.T) {
	random := seeded(t, 1)
	s := startColdServer(t, 1, 300, random)
	c, log := s.dial(), s.logs[0]
	for range 150 {
		w := wanted{topic: "feed", offset: random.Int64N(log.end), maxBytes: 1 + random.Int32N(200_000)}
		if random.IntN(3) == 0 {
			w.maxBytes = 1 + random.Int32N(1000)
		}
		var answers [2][]byte
		for i, cold := range []int32{0, []int32{100, 50, 20}[random.IntN(3)]} {
			s.disk.cold.Store(cold)
			p := c.fetchOne(11, w)
			if err := checkAnswer(log, p.RecordBatches, w.offset, int64(w.maxBytes)); err != nil || p.ErrorCode != 0 {
				t.Fatalf("%d%% cold, %+v: error %d, %v", cold, w, p.ErrorCode, err)
			}
			answers[i] = p.RecordBatches
			c.fetchOne(11, wanted{topic: "feed", maxBytes: 1}) // or the log knows the answer still
		}
		if !bytes.Equal(answers[0], answers[1]) {
			t.Fatalf("%+v: %d bytes warm and %d cold", w, len(answers[0]), len(answers[1]))
		}
	}
	if s.stats().ColdLookups == 0 {
		t.Error("nothing was looked up: the test tests nothing")
	}
}

// One fetch has many cold partitions, and its limits hold for all of them together; a session's incremental request is
// another way to ask.
func TestFetchOfManyColdPartitionsKeepsToItsLimits(t *testing.T) {
	random := seeded(t, 2)
	const partitions = 40
	s := startColdServer(t, partitions, 20, random)
	for round := range 6 {
		c := &session{dialed: s.dial()}
		offsets := make([]int64, partitions)
		maxBytes := []int32{1, 10_000, 100_000, 50 << 20}[random.IntN(4)]
		for turn := 0; ; turn++ {
			if turn > 5000 {
				t.Fatal("the consumer does not get on")
			}
			s.disk.cold.Store([]int32{0, 30, 100, 100}[random.IntN(4)])
			var wants []wanted
			for i := range offsets {
				if round%2 == 1 && turn > 0 && random.IntN(3) > 0 {
					continue // the session knows
				}
				wants = append(wants, wanted{topic: "feed", partition: int32(i), offset: offsets[i], maxBytes: 100_000})
			}
			if round%2 == 0 {
				c.id, c.epoch = 0, -1
			}
			asked := make([]int64, partitions)
			copy(asked, offsets)
			req := c.request(nil, wants...)
			req.MaxBytes, req.MaxWaitMillis = maxBytes, 0
			resp := c.ask(req).(*kmsg.FetchResponse)
			c.id, c.epoch = resp.SessionID, c.epoch+1
			total, batches := 0, 0
			for _, topic := range resp.Topics {
				for _, p := range topic.Partitions {
					if p.ErrorCode != 0 {
						t.Fatalf("partition %d: error %d", p.Partition, p.ErrorCode)
					}
					if len(p.RecordBatches) == 0 {
						continue
					}
					if next, err := offsetAfter(p.RecordBatches); err != nil {
						t.Fatal(err)
					} else if round%2 == 0 || next > offsets[p.Partition] {
						offsets[p.Partition] = next
					}
					total, batches = total+len(p.RecordBatches), batches+1
					if round%2 == 0 {
						if err := checkAnswer(s.logs[p.Partition], p.RecordBatches, asked[p.Partition], 100_000); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			if total > int(maxBytes) && batches > 1 {
				t.Fatalf("%d bytes of %d partitions came, allowed are %d", total, batches, maxBytes)
			}
			done := true
			for i, log := range s.logs {
				done = done && offsets[i] == log.end
			}
			if done || maxBytes == 1 && turn > 300 {
				break
			}
		}
		c.close()
	}
}

// A thousand subscribers that ask for the same cold offset cost one search of the disk.
func TestFetchesOfTheSameColdOffsetShareOneLookup(t *testing.T) {
	s := startColdServer(t, 1, 50, seeded(t, 3))
	reads := s.disk.hold("read", "feed-0")
	defer reads.release()
	w := wanted{topic: "feed", offset: 20}
	var clients []*dialed
	for range 100 {
		c := s.dial()
		c.send(fetchRequest(11, w))
		clients = append(clients, c)
	}
	reads.await(t)
	s.await("the fetches to come", func(st Stats) bool { return st.Requests["Fetch"] == 100 })
	s.dial().alive()
	clients[7].close()
	reads.release()
	for i, c := range clients {
		if i == 7 {
			continue
		}
		if got := recordsOf(t, c.receive(fetchRequest(11, w), c.next)); !bytes.Equal(got, s.logs[0].from(20)) {
			t.Fatalf("%d bytes came, want %d", len(got), len(s.logs[0].from(20)))
		}
	}
	if n := s.stats().ColdLookups; n != 1 {
		t.Errorf("%d searches of the disk were made for one offset", n)
	}
}

// whileCold asks for a cold offset, does something while the disk is asked, and lets the disk answer.
func whileCold(
	t *testing.T, what func(s *coldServer, c *dialed),
) (s *coldServer, c *dialed, answer func(id int32) kmsg.FetchResponseTopicPartition) {
	t.Helper()
	s = startColdServer(t, 1, 50, seeded(t, 4))
	reads := s.disk.hold("read", "feed-0")
	defer reads.release()
	c = s.dial()
	req := fetchRequest(11, wanted{topic: "feed", offset: 20})
	c.send(req)
	reads.await(t)
	what(s, c)
	return s, c, func(id int32) kmsg.FetchResponseTopicPartition {
		return c.receive(req, id).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	}
}

// Its client has to look for another offset, however much the other partitions have.
func TestFetchTellsOfAnOffsetOutOfRangeThoughTheAnswerIsFull(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("full", 1)
	c.create("short", 1)
	c.produce("full", 0, makeBatch(1, 1, 2000, 0))
	req := fetchRequest(11, wanted{topic: "full"}, wanted{topic: "short", offset: 1})
	req.MaxBytes = 100
	resp := c.ask(req).(*kmsg.FetchResponse)
	if n := len(resp.Topics[0].Partitions[0].RecordBatches); n < 2000 {
		t.Errorf("%d bytes came", n)
	}
	if code := resp.Topics[1].Partitions[0].ErrorCode; code != wire.CodeOffsetOutOfRange {
		t.Errorf("error %d", code)
	}
}

// While a lookup reads the disk, the topic changes: it is deleted, its records are removed, or others are appended.
func TestColdFetchIsAnsweredByWhatTheLogIsThen(t *testing.T) {
	t.Run("the topic is deleted", func(t *testing.T) {
		_, c, answer := whileCold(t, func(s *coldServer, _ *dialed) { s.dial().remove("feed") })
		if p := answer(c.next); p.ErrorCode != wire.CodeUnknownTopicOrPartition {
			t.Errorf("error %d", p.ErrorCode)
		}
	})
	t.Run("the topic is made again", func(t *testing.T) {
		_, c, answer := whileCold(t, func(s *coldServer, _ *dialed) {
			admin := s.dial()
			admin.remove("feed")
			if !eventually(func() bool { return admin.tryCreate("feed", 1) == 0 }) {
				t.Fatal("the topic cannot be made again")
			}
		})
		if p := answer(c.next); p.ErrorCode != wire.CodeOffsetOutOfRange {
			t.Errorf("error %d", p.ErrorCode)
		}
	})
	t.Run("the records are deleted", func(t *testing.T) {
		_, c, answer := whileCold(t, func(s *coldServer, _ *dialed) { s.dial().deleteRecords("feed", 40) })
		if p := answer(c.next); p.ErrorCode != wire.CodeOffsetOutOfRange {
			t.Errorf("error %d", p.ErrorCode)
		}
	})
	t.Run("more is published", func(t *testing.T) {
		s, c, answer := whileCold(t, func(s *coldServer, _ *dialed) { s.dial().publish(s.logs[0], makeBatch(9, 1, 500, 0)) })
		if err := checkAnswer(s.logs[0], answer(c.next).RecordBatches, 20, 1<<20); err != nil {
			t.Error(err)
		}
	})
	t.Run("the frame moves", func(t *testing.T) {
		s, c, answer := whileCold(t, func(s *coldServer, c *dialed) {
			before := s.stats().RequestMemory
			for range 200 {
				c.send(fetchRequest(11, wanted{topic: "feed", offset: 49}))
			}
			s.await("more to be received", func(st Stats) bool { return st.RequestMemory > before+8192 })
		})
		if err := checkAnswer(s.logs[0], answer(c.next-200).RecordBatches, 20, 1<<20); err != nil {
			t.Error(err)
		}
	})
}

// A client that goes, and a server that stops, wait for no disk but for the searches that are under way.
func TestColdFetchEndsWithItsClientAndItsServer(t *testing.T) {
	t.Run("the client goes", func(t *testing.T) {
		s, _, _ := whileCold(t, func(s *coldServer, c *dialed) {
			c.close()
			s.await("the connection to be gone", func(st Stats) bool { return st.Connections == 1 })
		})
		s.dial().alive()
	})
	t.Run("the server stops", func(t *testing.T) {
		s, c, answer := whileCold(t, func(s *coldServer, _ *dialed) { s.broker.Stop() })
		if err := checkAnswer(s.logs[0], answer(c.next).RecordBatches, 20, 1<<20); err != nil {
			t.Error(err)
		}
	})
}

// A failure of the disk is an error for clients that read from it, and for no others.
func TestFailedLookupIsAnErrorOfItsPartitionAlone(t *testing.T) {
	s := startColdServer(t, 2, 30, seeded(t, 5))
	c := s.dial()
	s.disk.fail("read", "feed-1", syscall.EIO)
	req := fetchRequest(11, wanted{topic: "feed", offset: 10}, wanted{topic: "feed", partition: 1, offset: 10})
	got := c.ask(req).(*kmsg.FetchResponse).Topics[0].Partitions
	if got[1].ErrorCode != wire.CodeKafkaStorageError || len(got[1].RecordBatches) != 0 {
		t.Errorf("error %d and %d bytes of the partition that cannot be read", got[1].ErrorCode, len(got[1].RecordBatches))
	}
	if err := checkAnswer(s.logs[0], got[0].RecordBatches, 10, 1<<20); err != nil || got[0].ErrorCode != 0 {
		t.Errorf("error %d of the other: %v", got[0].ErrorCode, err)
	}
}

// A client that does not know zstd gets an error for a zstd batch, however cold it is.
func TestOldClientGetsNoColdBatchOfZstd(t *testing.T) {
	disk, dir := newGateFS(), t.TempDir()
	log := &shadow{topic: "feed"}
	for restart := range 2 {
		s := start(t, func(c *Config) { c.Log.FS, c.DataDir = disk, dir })
		c := s.dial()
		if restart == 0 {
			c.create("feed", 1)
			for i := range 30 {
				batch := makeBatch(uint64(i), 1, 300, 0)
				if i == 20 {
					batch = compressed(batch, byte(records.Zstd), 1, 300)
				}
				c.publish(log, batch)
			}
		}
		for _, cold := range []int32{0, 100, 50} {
			disk.cold.Store(cold)
			p := c.fetchOne(9, wanted{topic: "feed", offset: 5})
			if next, err := offsetAfter(p.RecordBatches); next != 20 || p.ErrorCode != 0 {
				t.Errorf("%d%% cold: error %d, records up to %d, want 20 (%v)", cold, p.ErrorCode, next, err)
			}
			if p = c.fetchOne(9, wanted{topic: "feed", offset: 20}); p.ErrorCode != wire.CodeUnsupportedCompressionType {
				t.Errorf("%d%% cold: error %d, want %d", cold, p.ErrorCode, wire.CodeUnsupportedCompressionType)
			}
			if p = c.fetchOne(10, wanted{topic: "feed", offset: 5}); !bytes.Equal(p.RecordBatches, log.from(5)) {
				t.Errorf("%d%% cold: %d bytes came, want %d", cold, len(p.RecordBatches), len(log.from(5)))
			}
		}
		disk.cold.Store(0)
		c.close()
		s.stop()
	}
}

// On a real disk, whose pages were dropped.
func TestFetchFromADiskIsExact(t *testing.T) {
	// By splice: pages that were sent from the mapping stay mapped, and the kernel does not drop such pages when it is asked.
	l := startColdMode(t, transfer.Splice, coldLimitBytes, 0, 3, 0)
	c := l.s.dial()
	indexes, err := filepath.Glob(filepath.Join(l.s.broker.config.DataDir, "feed-0", "*.index"))
	if err != nil || len(indexes) == 0 {
		t.Fatalf("indexes: %v, %v", indexes, err)
	}
	l.cold = append(l.cold, indexes...)
	random := seeded(t, 6)
	for range 12 {
		l.drop()
		w := wanted{topic: "feed", offset: random.Int64N(l.end), maxBytes: 1 + random.Int32N(4<<20)}
		p := c.fetchOne(11, w)
		if err := checkAnswer(l.shadow, p.RecordBatches, w.offset, int64(w.maxBytes)); err != nil || p.ErrorCode != 0 {
			t.Fatalf("%+v: error %d, %v", w, p.ErrorCode, err)
		}
	}
	if l.s.stats().ColdLookups == 0 {
		t.Error("nothing was looked up: the test tests nothing")
	}
}

// A cold fetch with too few bytes waits like any other, and is answered at its deadline.
func TestColdFetchWaitsForMinBytes(t *testing.T) {
	s := startColdServer(t, 1, 20, seeded(t, 7))
	c, log := s.dial(), s.logs[0]
	req := fetchRequest(11, wanted{topic: "feed", offset: 5, maxBytes: 50 << 20})
	req.MinBytes, req.MaxWaitMillis = int32(len(log.from(5)))+1, longMillis
	c.send(req)
	s.awaitWaiting(1)
	s.dial().publish(log, makeBatch(1, 1, 100, 0))
	if got := recordsOf(t, c.receive(req, c.next)); !bytes.Equal(got, log.from(5)) {
		t.Errorf("%d bytes came, want %d", len(got), len(log.from(5)))
	}
	req.MinBytes, req.MaxWaitMillis = 40<<20, 30
	began := time.Now()
	if got := recordsOf(t, c.ask(req)); !bytes.Equal(got, log.from(5)) || time.Since(began) < 30*time.Millisecond {
		t.Errorf("%d bytes came after %v, want %d", len(got), time.Since(began), len(log.from(5)))
	}
}

// readLog reads a log that is not in the page cache, and ends where the rest was compacted away.
func TestLogIsReadWholeHoweverColdItIs(t *testing.T) {
	disk := newGateFS()
	l, err := segment.Open(filepath.Join(t.TempDir(), "t-0"), segment.Options{FS: disk, SegmentBytes: 5000}, segment.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if _, err := l.Append(makeBatch(uint64(i), 2, 300, 0), 0); err != nil {
			t.Fatal(err)
		}
	}
	disk.cold.Store(100)
	read := 0
	err = l.EachRecord(1<<20, func(int64, *records.Record) { read++ }, func(err error) { t.Error(err) })
	if read != 100 || err != nil {
		t.Errorf("%d records of 100, %v", read, err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
