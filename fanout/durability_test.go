package fanout

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/wire"
	"oneplusn/ring"
)

// disk is a kernel whose fdatasyncs end when and as the test says.
type disk struct {
	ring.Kernel
	mu     sync.Mutex
	held   []ring.Token
	ended  []ring.Completion
	queued int
	free   bool // nothing is held any more
}

func (d *disk) Queue(op ring.Op) {
	if op.Code != ring.OpFsync {
		d.Kernel.Queue(op)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queued++
	if d.free {
		d.ended = append(d.ended, ring.NewCompletion(op.Token, 0, false, -1))
		d.Wake()
		return
	}
	d.held = append(d.held, op.Token)
}

// release lets every fdatasync end at once from here on. An interval may begin one more at any time, and would wait for
// the test otherwise.
func (d *disk) release() {
	d.mu.Lock()
	d.free = true
	d.mu.Unlock()
	d.end(0)
}

func (d *disk) InFlight() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Kernel.InFlight() + len(d.held) + len(d.ended)
}

func (d *disk) Wait(timeout time.Duration) ([]ring.Completion, error) {
	completions, err := d.Kernel.Wait(timeout)
	d.mu.Lock()
	defer d.mu.Unlock()
	completions = append(completions, d.ended...)
	d.ended = d.ended[:0]
	return completions, err
}

// syncs is how many fdatasyncs have been asked for, and how many of them have not ended.
func (d *disk) syncs() (queued, held int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.queued, len(d.held)
}

// end ends all fdatasyncs under way with a result.
func (d *disk) end(result int32) {
	d.mu.Lock()
	for _, token := range d.held {
		d.ended = append(d.ended, ring.NewCompletion(token, result, false, -1))
	}
	d.held = d.held[:0]
	d.mu.Unlock()
	d.Wake()
}

func (d *disk) await(t *testing.T, queued, held int) {
	t.Helper()
	if !eventually(func() bool { q, h := d.syncs(); return q == queued && h == held }) {
		q, h := d.syncs()
		t.Fatalf("%d fdatasyncs were asked for and %d are under way, want %d and %d", q, h, queued, held)
	}
}

// startOn runs a broker on a disk.
func startOn(t *testing.T, fsync commit.Fsync) (*server, *disk) {
	d := new(disk)
	s := startWith(t, func(c *Config) { c.Fsync = fsync }, func(b *Broker) {
		make := b.newKernel
		b.newKernel = func(c ring.Config) (ring.Kernel, error) {
			k, err := make(c)
			d.Kernel = k
			return d, err
		}
	})
	return s, d
}

func produceAll(topic string, batch []byte) *kmsg.ProduceRequest {
	return produceRequest(7, -1, topic, map[int32][]byte{0: batch})
}

func produced(t *testing.T, c *dialed, req *kmsg.ProduceRequest, correlationID int32) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	return c.receive(req, correlationID).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
}

func TestAlwaysAcknowledgesAfterTheFsync(t *testing.T) {
	s, d := startOn(t, commit.Fsync{Always: true})
	publisher, subscriber := s.dial(), s.dial()
	publisher.create("feed", 1)
	log := &shadow{topic: "feed"}
	batch := makeBatch(1, 3, 100, 0)
	waiting := waitingFetch("feed", 0, 0, longMillis)
	subscriber.send(waiting)
	s.awaitWaiting(1)

	req := produceAll("feed", batch)
	publisher.send(req)
	d.await(t, 1, 1)
	// The record is written, but nobody may know of it.
	if end := publisherEnd(t, s.dial(), "feed"); end != 0 {
		t.Errorf("the high watermark is %d before the fsync", end)
	}
	st := s.stats()
	if st.WaitingFetches != 2 { // the fetch, and the produce
		t.Errorf("%d requests wait, want the fetch and the produce", st.WaitingFetches)
	}
	d.end(0)
	if r := produced(t, publisher, req, publisher.next); r.ErrorCode != 0 || r.BaseOffset != 0 {
		t.Errorf("produce: error %d, offset %d", r.ErrorCode, r.BaseOffset)
	}
	log.add(batch, 0)
	if got := recordsOf(t, subscriber.receive(waiting, subscriber.next)); !bytes.Equal(got, log.from(0)) {
		t.Errorf("the waiting subscriber got %d bytes, want %d", len(got), len(log.from(0)))
	}
}

// publisherEnd is the high watermark of partition 0.
func publisherEnd(t *testing.T, c *dialed, topic string) int64 {
	t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = 1, -1
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Timestamp = latestTimestamp
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	r := c.ask(req).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
	if r.ErrorCode != 0 {
		t.Fatalf("ListOffsets: error %d", r.ErrorCode)
	}
	return r.Offset
}

func TestProducesGatherWhileAnFsyncRuns(t *testing.T) {
	const producers = 20
	s, d := startOn(t, commit.Fsync{Always: true})
	admin := s.dial()
	admin.create("feed", 1)
	first := s.dial()
	req := produceAll("feed", makeBatch(1, 1, 10, 0))
	first.send(req)
	d.await(t, 1, 1)
	others := make([]*dialed, producers)
	for i := range others {
		others[i] = s.dial()
		others[i].send(produceAll("feed", makeBatch(uint64(i+2), 1, 10, 0)))
	}
	s.await("the produces to be appended", func(st Stats) bool { return st.PublishedRecords == producers+1 })
	d.await(t, 1, 1) // one at a time
	d.end(0)
	produced(t, first, req, first.next)
	d.await(t, 2, 1) // and one for all the others
	d.end(0)
	seen := make(map[int64]bool)
	for _, c := range others {
		r := produced(t, c, req, c.next)
		if r.ErrorCode != 0 || seen[r.BaseOffset] {
			t.Errorf("error %d, offset %d", r.ErrorCode, r.BaseOffset)
		}
		seen[r.BaseOffset] = true
	}
	d.await(t, 2, 0)
}

func TestFailedFsyncRefusesThePartitionAndNoOther(t *testing.T) {
	s, d := startOn(t, commit.Fsync{Always: true})
	s.wantEnd = "no more writes after a failed fsync" // so the next start scans
	c := s.dial()
	c.create("feed", 1)
	c.create("other", 1)
	req := produceAll("feed", makeBatch(1, 1, 10, 0))
	c.send(req)
	d.await(t, 1, 1)
	d.end(-int32(unix.EIO))
	if r := produced(t, c, req, c.next); r.ErrorCode != wire.CodeKafkaStorageError {
		t.Fatalf("a produce whose fsync failed was answered with error %d", r.ErrorCode)
	}
	// It is not tried again: the kernel would answer with success for pages that it has dropped.
	if r := produced(t, c, req, c.sendAgain(req)); r.ErrorCode != wire.CodeKafkaStorageError {
		t.Errorf("a produce after it was answered with error %d", r.ErrorCode)
	}
	d.await(t, 1, 0)
	if end := publisherEnd(t, c, "feed"); end != 0 {
		t.Errorf("the high watermark is %d, nothing reached the disk", end)
	}
	mark := filepath.Join(s.broker.config.DataDir, "feed-0", "fsync-failed")
	if !eventually(func() bool { _, err := os.Stat(mark); return err == nil }) {
		t.Error("the next start is not told that pages may be lost")
	}
	if !strings.Contains(s.log.String(), "restart the server") {
		t.Errorf("the log does not say what to do: %s", s.log)
	}
	other := produceAll("other", makeBatch(2, 1, 10, 0))
	c.send(other)
	d.await(t, 2, 1)
	d.end(0)
	if r := produced(t, c, other, c.next); r.ErrorCode != 0 {
		t.Errorf("the other topic is refused too: error %d", r.ErrorCode)
	}
}

func (c *dialed) sendAgain(req kmsg.Request) (correlationID int32) {
	c.send(req)
	return c.next
}

// The kernel can end an operation before it ran: a signal came, or no worker could be made. The disk has said nothing.
func TestFsyncThatDidNotRunIsAskedForAgain(t *testing.T) {
	s, d := startOn(t, commit.Fsync{Always: true})
	publisher := s.dial()
	publisher.create("feed", 1)
	req := produceAll("feed", makeBatch(1, 3, 100, 0))
	publisher.send(req)
	for i, errno := range []unix.Errno{unix.ECANCELED, unix.EINTR, unix.EAGAIN, 512} {
		d.await(t, i+1, 1)
		d.end(-int32(errno))
	}
	d.await(t, 5, 1)
	d.end(0)
	if r := produced(t, publisher, req, publisher.next); r.ErrorCode != 0 || r.BaseOffset != 0 {
		t.Errorf("produce: error %d, offset %d", r.ErrorCode, r.BaseOffset)
	}
	// Without end it is not tried either.
	const maxSyncRetries = 8
	s.wantEnd = "no more writes after a failed fsync"
	publisher.send(req)
	for i := range maxSyncRetries + 1 {
		d.await(t, 6+i, 1)
		d.end(-int32(unix.ECANCELED))
	}
	if r := produced(t, publisher, req, publisher.next); r.ErrorCode != wire.CodeKafkaStorageError {
		t.Errorf("produce: error %d, want KAFKA_STORAGE_ERROR", r.ErrorCode)
	}
}

func TestConnectionThatEndsWhileItsProduceWaits(t *testing.T) {
	s, d := startOn(t, commit.Fsync{Always: true})
	c := s.dial()
	c.create("feed", 1)
	gone := s.dial()
	gone.send(produceAll("feed", makeBatch(1, 1, 10, 0)))
	d.await(t, 1, 1)
	gone.close()
	s.await("the connection to end", func(st Stats) bool { return st.Connections == 1 && st.WaitingFetches == 0 })
	d.end(0)
	if !eventually(func() bool { return publisherEnd(t, c, "feed") == 1 }) {
		t.Error("the record of a producer that left was not committed")
	}
}

// The bytes of the next request arrive while the first waits, and move its frame.
func TestWaitingProduceSurvivesThatItsFrameMoves(t *testing.T) {
	s, d := startOn(t, commit.Fsync{Always: true})
	c := s.dial()
	c.create("feed", 1)
	first := produceAll("feed", makeBatch(1, 1, 10, 0))
	firstID := c.sendAgain(first)
	d.await(t, 1, 1)
	second := produceAll("feed", makeBatch(2, 50, 1000, 0))
	secondID := c.sendAgain(second)
	s.await("the second request to arrive", func(st Stats) bool { return st.RequestMemory > 50_000 })
	d.end(0)
	if r := produced(t, c, first, firstID); r.ErrorCode != 0 || r.BaseOffset != 0 {
		t.Errorf("the first: error %d, offset %d", r.ErrorCode, r.BaseOffset)
	}
	d.await(t, 2, 1)
	d.end(0)
	if r := produced(t, c, second, secondID); r.ErrorCode != 0 || r.BaseOffset != 1 {
		t.Errorf("the second: error %d, offset %d", r.ErrorCode, r.BaseOffset)
	}
}

func TestProduceThatWaitsTooLongIsToldSo(t *testing.T) {
	s, d := startOn(t, commit.Fsync{Always: true})
	c := s.dial()
	c.create("feed", 1)
	req := produceAll("feed", makeBatch(1, 1, 10, 0))
	req.TimeoutMillis = 1
	c.send(req)
	d.await(t, 1, 1)
	if r := produced(t, c, req, c.next); r.ErrorCode != wire.CodeRequestTimedOut {
		t.Errorf("error %d, want %d", r.ErrorCode, wire.CodeRequestTimedOut)
	}
	d.end(0)
}

func TestTopicThatIsDeletedRefusesTheProducesThatWait(t *testing.T) {
	s, d := startOn(t, commit.Fsync{Always: true})
	c, admin := s.dial(), s.dial()
	admin.create("feed", 1)
	req := produceAll("feed", makeBatch(1, 1, 10, 0))
	c.send(req)
	d.await(t, 1, 1)
	admin.remove("feed")
	if r := produced(t, c, req, c.next); r.ErrorCode != wire.CodeUnknownTopicOrPartition {
		t.Errorf("error %d", r.ErrorCode)
	}
	d.end(0)
}

func TestNeverAndIntervalAcknowledgeAtOnce(t *testing.T) {
	for _, row := range []struct {
		fsync commit.Fsync
		syncs int
	}{{commit.Fsync{}, 0}, {commit.Fsync{Every: time.Millisecond}, 1}} {
		s, d := startOn(t, row.fsync)
		c := s.dial()
		c.create("feed", 1)
		for i := range 2 {
			req := produceAll("feed", makeBatch(uint64(i), 1, 10, 0))
			if r := produced(t, c, req, c.sendAgain(req)); r.ErrorCode != 0 {
				t.Fatalf("%v: error %d", row.fsync, r.ErrorCode)
			}
		}
		if row.syncs > 0 {
			d.await(t, row.syncs, row.syncs)
		}
		d.end(0)
		if row.syncs > 0 { // what was written meanwhile
			if !eventually(func() bool { d.end(0); return s.stats().Syncs >= 1 }) {
				t.Errorf("%v: no sync ended", row.fsync)
			}
		}
		s.await("syncs to end", func(Stats) bool { d.end(0); q, h := d.syncs(); return h == 0 && (q > 0) == (row.syncs > 0) })
		d.release()
		c.close()
		s.stop()
	}
}

// Where acknowledgements wait for an fsync, a closed segment is finished behind it, though nothing is published any more.
func TestClosedSegmentIsFinishedAfterItsSync(t *testing.T) {
	s, d := startOn(t, commit.Fsync{Always: true})
	c := s.dial()
	if code, message := c.createWith("feed", map[string]string{"segment.bytes": "16384"}); code != 0 {
		t.Fatalf("error %d: %s", code, message)
	}
	req := produceAll("feed", makeBatch(0, 1, 4000, 0))
	c.send(req)
	d.await(t, 1, 1)
	const more = 5 // and the segment is full
	for i := range uint64(more) {
		s.dial().send(produceAll("feed", makeBatch(i+1, 1, 4000, 0)))
	}
	s.await("the batches to be appended", func(st Stats) bool { return st.PublishedRecords == 1+more })
	d.release()
	index := filepath.Join(s.broker.config.DataDir, "feed-0", "00000000000000000000.index")
	if !eventually(func() bool { _, err := os.Stat(index); return err == nil }) {
		t.Error("the closed segment has no index")
	}
	produced(t, c, req, c.next)
}
