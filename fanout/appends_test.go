package fanout

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/offsets"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// gatedFS is the real file system, where whatever may wait for a disk waits at a gate: for files with a part of a path in
// their names, until the test opens it.
type gatedFS struct {
	segment.FS
	mu      sync.Mutex
	opened  *sync.Cond
	closed  string // empty for no file
	waiting int
	fail    error // what writes end with that waited
}

func newGatedFS() *gatedFS {
	g := &gatedFS{FS: segment.OS}
	g.opened = sync.NewCond(&g.mu)
	return g
}

// shut lets operations on some files wait from here on.
func (g *gatedFS) shut(path string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.fail = path, nil
}

// open lets waiting operations continue. With an error, the writes among them fail.
func (g *gatedFS) open(fail error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.fail = "", fail
	g.opened.Broadcast()
}

func (g *gatedFS) pass(path string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed == "" || !strings.Contains(path, g.closed) {
		return nil
	}
	g.waiting++
	for g.closed != "" {
		g.opened.Wait()
	}
	g.waiting--
	return g.fail
}

// await waits until that many operations wait at the gate.
func (g *gatedFS) await(t *testing.T, n int) {
	t.Helper()
	if !eventually(func() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.waiting == n }) {
		t.Fatalf("%d operations wait at the gate, want %d", g.waiting, n)
	}
}

func (g *gatedFS) Open(path string, access segment.Access) (segment.File, error) {
	_ = g.pass(path)
	file, err := g.FS.Open(path, access)
	if err != nil {
		return nil, err
	}
	return &gatedFile{file, g, path}, nil
}

func (g *gatedFS) Rename(from, to string) error {
	_ = g.pass(to)
	return g.FS.Rename(from, to)
}

func (g *gatedFS) IsNamed(file segment.File, path string) (bool, error) {
	return g.FS.IsNamed(file.(*gatedFile).File, path)
}

type gatedFile struct {
	segment.File
	fs   *gatedFS
	path string
}

func (f *gatedFile) WriteAt(pieces [][]byte, offset int64) (int, error) {
	if err := f.fs.pass(f.path); err != nil {
		return 0, err
	}
	return f.File.WriteAt(pieces, offset)
}

func (f *gatedFile) Truncate(size int64) error {
	_ = f.fs.pass(f.path)
	return f.File.Truncate(size)
}

// startGated runs a broker on a gated file system. The gate is open, and is opened at the end of the test.
func startGated(t *testing.T, change func(*Config)) (*server, *gatedFS) {
	t.Helper()
	g := newGatedFS()
	s := start(t, func(c *Config) {
		c.Log.FS = g
		if change != nil {
			change(c)
		}
	})
	t.Cleanup(func() { g.open(nil) })
	return s, g
}

// awaitAppends waits until that many appends are on their way to their logs.
func (s *server) awaitAppends(n int) {
	s.t.Helper()
	pending := 0
	if !eventually(func() bool { s.onLoop(func(b *Broker) { pending = b.committer.Pending() }); return pending == n }) {
		s.t.Fatalf("%d appends are on their way, want %d", pending, n)
	}
}

// While a write of one topic is stuck, other topics are served, and so are other requests for that topic.
func TestWriteThatDoesNotEndStopsNobodyElse(t *testing.T) {
	s, gate := startGated(t, nil)
	c, slow, subscriber := s.dial(), s.dial(), s.dial()
	c.create("slow", 1)
	c.create("live", 1)
	slowLog, live := &shadow{topic: "slow"}, &shadow{topic: "live"}
	c.publish(slowLog, makeBatch(1, 1, 10, 0))
	c.publish(live, makeBatch(2, 1, 10, 0))
	c.commit("group", "live", 1)

	gate.shut("slow-0")
	batch := makeBatch(3, 1, 10, 0)
	req := produceAll("slow", batch)
	slow.send(req)
	gate.await(t, 1)

	waiting := waitingFetch("live", 0, live.end, longMillis)
	subscriber.send(waiting)
	s.await("the fetch and the produce to wait", func(st Stats) bool { return st.WaitingFetches == 2 })
	c.publish(live, makeBatch(4, 1, 10, 0))
	if got := recordsOf(t, subscriber.receive(waiting, subscriber.next)); !bytes.Equal(got, live.batches[1]) {
		t.Errorf("the subscriber got %d bytes, want %d", len(got), len(live.batches[1]))
	}
	c.commit("group", "live", 2)
	c.alive()
	c.create("other", 3)
	for _, log := range []*shadow{live, slowLog} {
		if err := s.dial().readAll(11, []*shadow{log}); err != nil {
			t.Errorf("while a write does not end: %v", err)
		}
	}
	if end := publisherEnd(t, c, "slow"); end != 1 {
		t.Errorf("the topic ends at %d before the write has ended", end)
	}
	gate.open(nil)
	if r := produced(t, slow, req, slow.next); r.ErrorCode != 0 || r.BaseOffset != 1 {
		t.Errorf("the produce: error %d, offset %d", r.ErrorCode, r.BaseOffset)
	}
	slowLog.add(batch, 1)
	if err := s.dial().readAll(11, []*shadow{slowLog}); err != nil {
		t.Errorf("after the write: %v", err)
	}
}

// What comes while a write is under way gets its offsets in the order in which it came, and goes with one write.
func TestAppendsGetTheirOffsetsInTheOrderInWhichTheyCame(t *testing.T) {
	for _, acks := range []int16{-1, 1} {
		s, gate := startGated(t, nil)
		admin := s.dial()
		admin.create("slow", 1)
		gate.shut("slow-0")
		var clients []*dialed
		var requests []*kmsg.ProduceRequest
		log := &shadow{topic: "slow"}
		for i := range 20 {
			c := s.dial()
			batch := makeBatch(uint64(i), 1+i%3, 100, 0)
			req := produceRequest(7, acks, "slow", map[int32][]byte{0: bytes.Clone(batch)})
			c.send(req)
			s.awaitAppends(i + 1)
			clients, requests = append(clients, c), append(requests, req)
			log.add(batch, log.end)
		}
		gate.await(t, 1)
		gate.open(nil)
		for i, c := range clients {
			if r := produced(t, c, requests[i], c.next); r.ErrorCode != 0 || r.BaseOffset != log.bases[i] {
				t.Errorf("client %d: error %d, offset %d, want %d", i, r.ErrorCode, r.BaseOffset, log.bases[i])
			}
		}
		if err := admin.readAll(11, []*shadow{log}); err != nil {
			t.Error(err)
		}
	}
}

// A connection that ends while its records are being written is gone when they are, and they are kept.
func TestConnectionThatEndsDuringItsWriteHurtsNobody(t *testing.T) {
	for _, acks := range []int16{0, -1} {
		s, gate := startGated(t, nil)
		admin := s.dial()
		admin.create("slow", 1)
		log := &shadow{topic: "slow"}
		gate.shut("slow-0")
		for i := range 5 {
			batch := makeBatch(uint64(i), 1, 30_000, 0)
			c := s.dial()
			c.send(produceRequest(7, acks, "slow", map[int32][]byte{0: bytes.Clone(batch)}))
			s.awaitAppends(i + 1)
			c.write([]byte{0, 0, 1, 0, 5, 6, 7}) // the begin of a frame
			c.close()
			log.add(batch, log.end)
		}
		s.await("the ends", func(st Stats) bool { return st.Closed["peer"] == 5 })
		if st := s.stats(); st.Connections != 6 || st.RequestMemory == 0 {
			t.Errorf("%d connections and %d bytes while their frames are being written", st.Connections, st.RequestMemory)
		}
		admin.alive()
		gate.open(nil)
		s.await("the slots to be free", func(st Stats) bool { return st.Connections == 1 })
		if err := admin.readAll(11, []*shadow{log}); err != nil {
			t.Error(err)
		}
	}
}

// A produce that waits for a write beyond its timeout gets an error. Its connection continues when the write has
// ended: the frame is needed until then.
func TestProduceThatWaitsForAWriteTimesOut(t *testing.T) {
	s, gate := startGated(t, nil)
	c := s.dial()
	c.create("slow", 1)
	gate.shut("slow-0")
	log := &shadow{topic: "slow"}
	batch := makeBatch(1, 1, 3000, 0)
	req := produceRequest(7, -1, "slow", map[int32][]byte{0: bytes.Clone(batch)})
	req.TimeoutMillis = 1
	c.send(req)
	if r := produced(t, c, req, c.next); r.ErrorCode != wire.CodeRequestTimedOut {
		t.Errorf("error %d, want %d", r.ErrorCode, wire.CodeRequestTimedOut)
	}
	second := produceAll("slow", makeBatch(2, 1, 3000, 0))
	c.send(second)
	s.awaitAppends(1)
	gate.open(nil)
	log.add(batch, 0)
	if r := produced(t, c, second, c.next); r.ErrorCode != 0 || r.BaseOffset != 1 {
		t.Errorf("the next one: error %d, offset %d", r.ErrorCode, r.BaseOffset)
	}
	log.add(makeBatch(2, 1, 3000, 0), 1)
	if err := c.readAll(11, []*shadow{log}); err != nil {
		t.Error(err)
	}
}

// A producer that retries a batch which is being written, or queued, gets the answer of the first copy.
func TestRetryOfWhatIsBeingWrittenIsADuplicate(t *testing.T) {
	for _, fails := range []error{nil, syscall.ENOSPC} {
		s, gate := startGated(t, nil)
		admin := s.dial()
		admin.create("slow", 1)
		batch := func(sequence int32) []byte { return ofProducer(makeBatch(uint64(sequence), 1, 50, 0), 9, sequence) }
		gate.shut("slow-0")
		var clients []*dialed
		var requests []*kmsg.ProduceRequest
		for i, sequence := range []int32{0, 0, 1, 1, 0} {
			c := s.dial()
			req := produceAll("slow", batch(sequence))
			c.send(req)
			s.awaitAppends(i + 1)
			clients, requests = append(clients, c), append(requests, req)
		}
		gate.await(t, 1)
		gate.open(fails)
		first := int16(0)
		if fails != nil {
			first = wire.CodeKafkaStorageError
		}
		for i, want := range []struct {
			code   int16
			offset int64
		}{{first, 0}, {0, 0}, {0, 1}, {0, 1}, {0, 0}} {
			r := produced(t, clients[i], requests[i], clients[i].next)
			if r.ErrorCode != want.code || want.code == 0 && r.BaseOffset != want.offset {
				t.Errorf("%v: request %d: error %d, offset %d, want %+v", fails, i, r.ErrorCode, r.BaseOffset, want)
			}
		}
		if end := publisherEnd(t, admin, "slow"); end != 2 {
			t.Errorf("%v: the log ends at %d, want 2", fails, end)
		}
	}
}

// With acks=0 there is no answer, and a client's batches still keep their order.
func TestRequestsAfterAProduceWithoutAnswerWaitForItsWrite(t *testing.T) {
	s, gate := startGated(t, nil)
	c, admin := s.dial(), s.dial()
	c.create("slow", 1)
	c.create("live", 1)
	gate.shut("slow-0")
	log := &shadow{topic: "slow"}
	for i := range 3 {
		batch := makeBatch(uint64(i), 1, 50, 0)
		c.send(produceRequest(7, 0, "slow", map[int32][]byte{0: bytes.Clone(batch)}))
		log.add(batch, int64(i))
	}
	last := produceAll("live", makeBatch(7, 1, 10, 0))
	c.send(last)
	gate.await(t, 1)
	if end := publisherEnd(t, admin, "live"); end != 0 {
		t.Errorf("a later request of the connection was served: the other topic ends at %d", end)
	}
	gate.open(nil)
	if r := produced(t, c, last, c.next); r.ErrorCode != 0 {
		t.Errorf("error %d", r.ErrorCode)
	}
	if err := admin.readAll(11, []*shadow{log}); err != nil {
		t.Error(err)
	}
}

// A topic that is deleted while its log is written to is gone at once; its waiters are told so, and the next topic of its
// name has nothing of it.
func TestTopicIsDeletedDuringItsWrite(t *testing.T) {
	s, gate := startGated(t, func(c *Config) { c.Log.SegmentBytes = 16 << 10 })
	admin := s.dial()
	admin.create("slow", 1)
	admin.publish(&shadow{topic: "slow"}, makeBatch(0, 1, 9000, 0))
	gate.shut("/slow-0/")
	var clients []*dialed
	var requests []*kmsg.ProduceRequest
	for i := range 3 {
		c, req := s.dial(), produceAll("slow", makeBatch(uint64(i), 1, 9000, 0)) // each begins a segment
		c.send(req)
		s.awaitAppends(i + 1)
		clients, requests = append(clients, c), append(requests, req)
	}
	gate.await(t, 1)
	remove := kmsg.NewPtrDeleteTopicsRequest()
	remove.Version, remove.TopicNames = 3, []string{"slow"}
	admin.send(remove)
	gone := false
	if !eventually(func() bool { s.onLoop(func(b *Broker) { gone = b.catalog.Topic("slow") == nil }); return gone }) {
		t.Fatal("the topic is still there")
	}
	for i := 1; i < 3; i++ {
		if r := produced(t, clients[i], requests[i], clients[i].next); r.ErrorCode != wire.CodeUnknownTopicOrPartition {
			t.Errorf("a queued batch: error %d", r.ErrorCode)
		}
	}
	clients[1].alive()
	gate.open(nil)
	if r := produced(t, clients[0], requests[0], clients[0].next); r.ErrorCode != wire.CodeUnknownTopicOrPartition {
		t.Errorf("the batch being written: error %d", r.ErrorCode)
	}
	if code := admin.receive(remove, admin.next).(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode; code != 0 {
		t.Fatalf("deleting the topic: error %d", code)
	}
	if !eventually(func() bool { return admin.tryCreate("slow", 1) == 0 }) {
		t.Fatal("the topic cannot be made again")
	}
	admin.publish(&shadow{topic: "slow"}, makeBatch(9, 1, 100, 0))
	if names, err := filepath.Glob(filepath.Join(s.broker.config.DataDir, "slow-0", "*.log*")); err != nil || len(names) != 1 {
		t.Errorf("the next topic has %v, %v", names, err)
	}
}

// The next segment is begun off the loop too.
func TestRollThatDoesNotEndStopsNobodyElse(t *testing.T) {
	s, gate := startGated(t, func(c *Config) { c.Log.SegmentBytes = 16 << 10 })
	c, slow := s.dial(), s.dial()
	c.create("slow", 1)
	c.create("live", 1)
	log := &shadow{topic: "slow"}
	c.publish(log, makeBatch(1, 1, 9000, 0))
	gate.shut("slow-0")
	second := makeBatch(2, 1, 9000, 0)
	req := produceAll("slow", bytes.Clone(second))
	slow.send(req)
	gate.await(t, 1)
	c.publish(&shadow{topic: "live"}, makeBatch(3, 1, 10, 0))
	gate.open(nil)
	if r := produced(t, slow, req, slow.next); r.ErrorCode != 0 || r.BaseOffset != 1 {
		t.Errorf("error %d, offset %d", r.ErrorCode, r.BaseOffset)
	}
	log.add(second, 1)
	if err := c.readAll(11, []*shadow{log}); err != nil {
		t.Error(err)
	}
}

// A stop waits for writes in flight, answers them, and closes cleanly.
func TestStopWaitsForTheWriteInFlight(t *testing.T) {
	dir := t.TempDir()
	s, gate := startGated(t, func(c *Config) { c.DataDir = dir })
	c := s.dial()
	c.create("slow", 1)
	gate.shut("slow-0")
	log := &shadow{topic: "slow"}
	batch := makeBatch(1, 1, 100, 0)
	req := produceAll("slow", bytes.Clone(batch))
	c.send(req)
	gate.await(t, 1)
	s.broker.Stop()
	s.onLoop(func(b *Broker) {
		if !b.stopping || b.stopped() {
			t.Error("the broker does not wait for the write")
		}
	})
	gate.open(nil)
	if r := produced(t, c, req, c.next); r.ErrorCode != 0 {
		t.Errorf("error %d", r.ErrorCode)
	}
	log.add(batch, 0)
	c.close()
	s.stop()
	checkStart(t, dir, log)
}

// While commits wait for the disk, groups are served: members are heard, offsets can be read, other topics are written to.
func TestCommitThatWaitsForItsWriteStopsNobodyElse(t *testing.T) {
	for _, fails := range []error{nil, syscall.ENOSPC} {
		t.Run(fmt.Sprint(fails), func(t *testing.T) {
			s, gate := startGated(t, nil)
			c, others := s.dial(), s.dial()
			c.create("feed", 1)
			c.commit("group", "feed", 1)
			gate.shut(offsets.Topic)
			var clients []*dialed
			var requests []*kmsg.OffsetCommitRequest
			for i := range 3 {
				m, req := s.dial(), commitRequest(fmt.Sprintf("group%d", i), "feed", 1, int64(10+i), "")
				m.send(req)
				clients, requests = append(clients, m), append(requests, req)
			}
			gate.await(t, 1)
			for range 3 {
				if got := others.committed("group", "feed"); got != 1 {
					t.Errorf("another group is at %d, want 1", got)
				}
				others.publish(&shadow{topic: "feed", end: publisherEnd(t, others, "feed")}, makeBatch(1, 1, 10, 0))
			}
			want := int16(0)
			if fails != nil {
				want = wire.CodeCoordinatorNotAvailable
			}
			gate.open(fails)
			refused := 0
			for i, m := range clients {
				code := commitCode(m.receive(requests[i], m.next))
				if code != 0 && code != want {
					t.Errorf("commit %d: error %d, want %d", i, code, want)
				}
				if code != 0 {
					refused++
				}
			}
			if (refused > 0) != (fails != nil) {
				t.Errorf("%d commits were refused", refused)
			}
			for i := range clients {
				others.commit(fmt.Sprintf("group%d", i), "feed", 20)
				if got := others.committed(fmt.Sprintf("group%d", i), "feed"); got != 20 {
					t.Errorf("group %d is at %d, want 20", i, got)
				}
			}
		})
	}
}
