package fanout

import (
	"bytes"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/conn"
	"oneplusn/fanout/fetch"
)

// long is longer than any test: a fetch with it is answered because something happened.
const longMillis = int32(patience / time.Millisecond * 4)

func (s *server) awaitWaiting(n int) {
	s.t.Helper()
	s.await("fetches to wait", func(st Stats) bool { return st.WaitingFetches == n })
}

// recordsOf are the bytes of the only partition of a fetch response.
func recordsOf(t *testing.T, resp kmsg.Response) []byte {
	t.Helper()
	p := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
	if p.ErrorCode != 0 {
		t.Fatalf("fetch: error %d", p.ErrorCode)
	}
	return p.RecordBatches
}

func TestOnePublishWakesEveryWaitingSubscriber(t *testing.T) {
	const subscribers = 100
	s := start(t, nil)
	publisher := s.dial()
	publisher.create("feed", 1)
	log := &shadow{topic: "feed"}
	waiting := waitingFetch("feed", 0, 0, longMillis)
	clients := make([]*dialed, subscribers)
	for i := range clients {
		clients[i] = s.dial()
		clients[i].send(waiting)
	}
	s.awaitWaiting(subscribers)
	publisher.publish(log, makeBatch(1, 5, 1000, 0))
	for _, c := range clients {
		if got := recordsOf(t, c.receive(waiting, c.next)); !bytes.Equal(got, log.from(0)) {
			t.Fatalf("%d bytes came, want %d", len(got), len(log.from(0)))
		}
	}
	s.awaitWaiting(0)
}

// min_bytes counts over publishes and partitions; the fetch waits until it is reached.
func TestFetchWaitsForMinBytes(t *testing.T) {
	s := start(t, nil)
	publisher := s.dial()
	publisher.create("feed", 2)
	logs := []*shadow{{topic: "feed"}, {topic: "feed", partition: 1}}
	batch := makeBatch(1, 1, 100, 0)
	for _, row := range []struct {
		minBytes  int
		publishes int // alternating between the two partitions
	}{{1, 1}, {2 * len(batch), 2}, {2*len(batch) + 1, 3}, {6 * len(batch), 6}} {
		c := s.dial()
		starts := []int64{logs[0].end, logs[1].end}
		req := fetchRequest(11, wanted{topic: "feed", offset: starts[0]}, wanted{topic: "feed", partition: 1, offset: starts[1]})
		req.MinBytes, req.MaxWaitMillis = int32(row.minBytes), longMillis
		c.send(req)
		for i := range row.publishes {
			s.awaitWaiting(1)
			publisher.publish(logs[i%2], batch)
		}
		got := c.receive(req, c.next).(*kmsg.FetchResponse).Topics[0].Partitions
		for i, l := range logs {
			if !bytes.Equal(got[i].RecordBatches, l.from(starts[i])) {
				t.Errorf("min bytes %d: partition %d got %d bytes, want %d", row.minBytes, i,
					len(got[i].RecordBatches), len(l.from(starts[i])))
			}
		}
		c.close()
	}
}

func TestFetchEndsWithWhatThereIsWhenMaxWaitHasPassed(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	empty := waitingFetch("feed", 0, 0, 50)
	began := time.Now()
	if got := recordsOf(t, c.ask(empty)); len(got) != 0 {
		t.Errorf("%d bytes came of an empty partition", len(got))
	}
	// Earlier would be wrong on any machine; how much later depends on the machine.
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("the fetch was answered after %v, before its 50 ms had passed", took)
	}
	c.publish(log, makeBatch(1, 1, 100, 0))
	few := waitingFetch("feed", 0, 0, 50)
	few.MinBytes = 1 << 20
	if got := recordsOf(t, c.ask(few)); !bytes.Equal(got, log.from(0)) {
		t.Errorf("%d bytes were received, want all records: %d", len(got), len(log.from(0)))
	}
}

// Fetches with many deadlines end in the order of the deadlines, not of their arrival.
func TestWaitingFetchesEndInTheOrderOfTheirDeadlines(t *testing.T) {
	s := start(t, nil)
	s.dial().create("feed", 1)
	waits := []int32{longMillis, 120, 60, 180, longMillis, 90}
	for _, wait := range waits {
		c := s.dial()
		c.send(waitingFetch("feed", 0, 0, wait))
	}
	s.awaitWaiting(2)
	if st := s.stats(); st.Requests["Fetch"] != uint64(len(waits)) {
		t.Errorf("%d fetches were counted, want %d", st.Requests["Fetch"], len(waits))
	}
}

func TestFetchWithAnErrorToTellDoesNotWait(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	for _, w := range []wanted{{topic: "feed", offset: 5}, {topic: "other"}, {topic: "feed", partition: 9}} {
		req := fetchRequest(11, wanted{topic: "feed"}, w)
		req.MaxWaitMillis = longMillis
		resp := c.ask(req).(*kmsg.FetchResponse)
		last := resp.Topics[len(resp.Topics)-1]
		if last.Partitions[len(last.Partitions)-1].ErrorCode == 0 {
			t.Errorf("%+v: no error", w)
		}
	}
	none := fetchRequest(11)
	none.MaxWaitMillis = longMillis
	if resp := c.ask(none).(*kmsg.FetchResponse); len(resp.Topics) != 0 {
		t.Errorf("a fetch of nothing got %d topics", len(resp.Topics))
	}
}

func TestDeletingATopicAnswersWhoWaitsForIt(t *testing.T) {
	s := start(t, nil)
	admin := s.dial()
	admin.create("feed", 2)
	admin.create("other", 1)
	clients := []*dialed{s.dial(), s.dial(), s.dial()}
	req := fetchRequest(11, wanted{topic: "other"}, wanted{topic: "feed", partition: 1}, wanted{topic: "feed"})
	req.MaxWaitMillis = longMillis
	for _, c := range clients {
		c.send(req)
	}
	s.awaitWaiting(len(clients))
	admin.remove("feed")
	for _, c := range clients {
		resp := c.receive(req, c.next).(*kmsg.FetchResponse)
		if resp.Topics[0].Partitions[0].ErrorCode != 0 || resp.Topics[1].Partitions[0].ErrorCode != 3 {
			t.Errorf("got %+v, want error 3 for the deleted topic alone", resp.Topics)
		}
	}
	admin.create("feed", 1)
	log := &shadow{topic: "feed", epoch: 1}
	admin.publish(log, makeBatch(1, 1, 10, 0))
	if err := admin.readAll(11, []*shadow{log}); err != nil {
		t.Errorf("the topic made again: %v", err)
	}
}

// Requests behind a waiting fetch arrive while it waits; their bytes move the fetch's own in memory, and it must still
// know what it waits for.
func TestRequestsBehindAWaitingFetchAreAnsweredAfterIt(t *testing.T) {
	s := start(t, nil)
	publisher := s.dial()
	const topic = "a-topic-with-a-name-that-is-long-enough-to-be-worth-overwriting"
	publisher.create(topic, 1)
	log := &shadow{topic: topic}
	c := s.dial()
	waiting := waitingFetch(topic, 0, 0, longMillis)
	c.send(waiting)
	first := c.next
	s.awaitWaiting(1)
	versions := kmsg.NewPtrApiVersionsRequest()
	other := waitingFetch("another-topic-that-does-not-exist-but-fills-memory", 0, 0, 0)
	const behind = 400 // together far more than the smallest input buffer, less than what pauses reading
	for i := range behind {
		if i%2 == 0 {
			c.send(versions)
		} else {
			c.send(other)
		}
		if i == 3 || i == 50 { // let some of it arrive by itself
			s.await("the requests to arrive", func(st Stats) bool { return st.Budgets["connection"].Used > conn.MinFrameBytes })
		}
	}
	s.awaitWaiting(1)
	publisher.publish(log, makeBatch(1, 3, 1000, 0))
	if got := recordsOf(t, c.receive(waiting, first)); !bytes.Equal(got, log.from(0)) {
		t.Fatalf("the waiting fetch got %d bytes, want %d", len(got), len(log.from(0)))
	}
	for i := range int32(behind) {
		if i%2 == 0 {
			c.receive(versions, first+1+i)
		} else if p := c.receive(other, first+1+i).(*kmsg.FetchResponse).Topics[0].Partitions[0]; p.ErrorCode != 3 {
			t.Fatalf("request %d: error %d, want 3", i, p.ErrorCode)
		}
	}
}

// A client that sends without end while its fetch waits is held back by TCP; the server's memory for it stays small.
func TestAClientFarAheadIsNotRead(t *testing.T) {
	s := start(t, nil)
	publisher := s.dial()
	publisher.create("feed", 1)
	log := &shadow{topic: "feed"}
	c := s.dial()
	waiting := waitingFetch("feed", 0, 0, longMillis)
	c.send(waiting)
	first := c.next
	s.awaitWaiting(1)
	versions := kmsg.NewPtrApiVersionsRequest()
	const behind = 20_000
	var flood []byte
	for range behind {
		flood = append(flood, c.frame(versions)...)
	}
	sent := make(chan error, 1)
	go func() { _, err := c.conn.Write(flood); sent <- err }()
	st := s.await("the flood to be held back", func(st Stats) bool { return st.RequestMemory >= conn.PauseReadBytes })
	// What is received in one turn, at most all receive buffers, comes before the pause; request memory is lent in powers of two.
	ring := s.broker.config.Ring
	if limit := int64(2 * (conn.PauseReadBytes + ring.RecvBuffers*ring.RecvBufferBytes)); st.RequestMemory > limit {
		t.Errorf("%d bytes of request memory for one client, want at most %d", st.RequestMemory, limit)
	}
	publisher.publish(log, makeBatch(1, 1, 10, 0))
	c.receive(waiting, first)
	for i := range int32(behind) {
		c.receive(versions, first+1+i)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestTwoThousandWaitingSubscribersAllGetOnePublish(t *testing.T) {
	const subscribers = 2000
	s := start(t, func(c *Config) {
		c.MaxConnections = subscribers + 10
		c.Ring.Entries, c.Ring.RecvBuffers = 256, 256
	})
	publisher := s.dial()
	publisher.create("feed", 1)
	log := &shadow{topic: "feed"}
	waiting := waitingFetch("feed", 0, 0, longMillis)
	clients := make([]*dialed, subscribers)
	for i := range clients {
		clients[i] = s.dial()
		clients[i].send(waiting)
	}
	s.awaitWaiting(subscribers)
	publisher.publish(log, makeBatch(1, 1, 200, 0))
	for i, c := range clients {
		if got := recordsOf(t, c.receive(waiting, c.next)); !bytes.Equal(got, log.from(0)) {
			t.Fatalf("subscriber %d got %d bytes, want %d", i, len(got), len(log.from(0)))
		}
	}
	// Each connection's own memory: its request buffer, no response block.
	if st := s.stats(); st.RequestMemory > int64(subscribers+1)*conn.KeptFrameBytes || st.ResponseMemory != 0 {
		t.Errorf("%d bytes of request and %d of response memory are in use", st.RequestMemory, st.ResponseMemory)
	}
}

// A waiting fetch is dropped when its client disconnects.
func TestDisconnectedSubscribersStopWaiting(t *testing.T) {
	s := start(t, nil)
	s.dial().create("feed", 1)
	clients := make([]*dialed, 50)
	for i := range clients {
		clients[i] = s.dial()
		clients[i].send(waitingFetch("feed", 0, 0, longMillis))
	}
	s.awaitWaiting(len(clients))
	for _, c := range clients[10:] {
		c.close()
	}
	st := s.await("the others to be forgotten", func(st Stats) bool { return st.Connections == 11 && st.WaitingFetches == 10 })
	if st.Closed["peer"] != 40 {
		t.Errorf("%d connections were closed by their peer, want 40", st.Closed["peer"])
	}
}

// evaluated is how many partitions of fetches were evaluated.
func (s *server) evaluated() (n uint64) {
	s.t.Helper()
	if err := s.broker.loop.Call(s.t.Context(), func() { n = s.broker.fetcher.Evaluated() }); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// What an append costs does not grow with the partitions of the fetches that wait for it.
func TestAppendCostsAWaitingFetchOnePartition(t *testing.T) {
	const partitions, fetches, appends = 40, 20, 30
	s := start(t, nil)
	publisher := s.dial()
	publisher.create("feed", partitions)
	var wants []wanted
	for i := range partitions {
		wants = append(wants, wanted{topic: "feed", partition: int32(i)})
	}
	req := fetchRequest(11, wants...)
	logs := []*shadow{{topic: "feed"}, {topic: "feed", partition: partitions - 1}}
	batch := makeBatch(1, 1, 1000, 0)
	req.MinBytes, req.MaxWaitMillis = int32(appends*len(batch)), longMillis
	var clients []*dialed
	for range fetches {
		c := s.dial()
		c.send(req)
		clients = append(clients, c)
	}
	s.awaitWaiting(fetches)
	before := s.evaluated()
	for i := range appends - 1 {
		publisher.publish(logs[i%2], batch)
	}
	s.awaitWaiting(fetches)
	if n := s.evaluated() - before; n != 0 {
		t.Errorf("%d partitions were evaluated for fetches that have to wait on", n)
	}
	publisher.publish(logs[0], batch)
	for _, c := range clients {
		got := c.receive(req, c.next).(*kmsg.FetchResponse).Topics[0].Partitions
		if n := len(got[0].RecordBatches) + len(got[partitions-1].RecordBatches); n != appends*len(batch) {
			t.Fatalf("%d bytes came, want %d", n, appends*len(batch))
		}
	}
	if n := s.evaluated() - before; n != fetches*partitions {
		t.Errorf("%d partitions were evaluated to answer %d fetches of %d", n, fetches, partitions)
	}
}

// However many fetches end at the same moment, a turn has its bound, and all are answered.
func TestFetchesThatEndTogetherAreAnsweredOverTurns(t *testing.T) {
	const partitions, fetches = 1000, 2*fetch.EvaluatedPerTurn/1000 + 5
	s := start(t, nil)
	publisher := s.dial()
	publisher.create("feed", 10)
	var wants []wanted
	for i := range partitions { // some again and again: each counts
		wants = append(wants, wanted{topic: "feed", partition: int32(i % 10)})
	}
	for _, grows := range []bool{true, false} {
		req := fetchRequest(11, wants...)
		req.MaxWaitMillis = longMillis
		if !grows {
			req.MinBytes, req.MaxWaitMillis = 1<<20, 500
		}
		var clients []*dialed
		for range fetches {
			c := s.dial()
			c.send(req)
			clients = append(clients, c)
		}
		s.awaitWaiting(fetches)
		before, turns := s.evaluated(), s.stats().Turns
		if grows {
			publisher.publish(&shadow{topic: "feed", partition: 7}, makeBatch(1, 1, 100, 0))
		}
		for _, c := range clients {
			if got := c.receive(req, c.next).(*kmsg.FetchResponse).Topics[0].Partitions; len(got[7].RecordBatches) == 0 {
				t.Fatal("no records came")
			}
			c.close()
		}
		if n := s.evaluated() - before; n != fetches*partitions {
			t.Errorf("%d partitions were evaluated, want %d", n, fetches*partitions)
		}
		if n := s.stats().Turns - turns; n < 2 {
			t.Errorf("all was done in %d turns", n)
		}
	}
}

// Nobody waits for bytes that the answer may not have, nor at the end of a segment that another follows.
func TestFetchDoesNotWaitForWhatCannotCome(t *testing.T) {
	s := start(t, func(c *Config) { c.Log.SegmentBytes, c.FetchMaxBytes = 1<<20, 2<<20 })
	c := s.dial()
	c.create("feed", 2)
	log, other := &shadow{topic: "feed"}, &shadow{topic: "feed", partition: 1}
	for i := range 15 {
		c.publish(log, makeBatch(uint64(i), 1, 100_000, 0))
		c.publish(other, makeBatch(uint64(i), 1, 100_000, 0))
	}
	for name, row := range map[string]struct{ minBytes, maxBytes, partition int32 }{
		"min above max":                            {400_000, 300_000, 1 << 20},
		"min is max, which no batches fill":        {300_000, 300_000, 1 << 20},
		"min is the partitions' limit":             {500_000, 1 << 20, 250_000},
		"min above --fetch-max-bytes":              {3 << 20, 50 << 20, 10 << 20},
		"no max at all":                            {1000, 0, 1 << 20},
		"a first batch above every limit":          {50_000, 200_000, 10},
		"the end of a segment with more behind it": {1 << 20, 50 << 20, 10 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial()
			req := fetchRequest(11, wanted{"feed", 0, 8, row.partition}, wanted{"feed", 1, 8, row.partition})
			req.MinBytes, req.MaxBytes, req.MaxWaitMillis = row.minBytes, row.maxBytes, longMillis
			got := c.ask(req).(*kmsg.FetchResponse).Topics[0].Partitions
			if len(got[0].RecordBatches) == 0 {
				t.Errorf("%d and %d bytes came", len(got[0].RecordBatches), len(got[1].RecordBatches))
			}
		})
	}
	// With two partitions limited below min_bytes together, Apache Kafka waits, and so do we.
	req := fetchRequest(11, wanted{"feed", 0, 0, 200_000}, wanted{"feed", 1, 12, 200_000})
	req.Topics[0].Partitions[0].FetchOffset = 12
	req.MinBytes, req.MaxWaitMillis = 500_000, longMillis
	waits := s.dial()
	waits.send(req)
	s.awaitWaiting(1)
}

// A partition that a fetch names again and again is read once, and waited for once.
func TestFetchReadsAPartitionOnceHoweverOftenItIsNamed(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 2)
	logs := []*shadow{{topic: "feed"}, {topic: "feed", partition: 1}}
	var wants []wanted
	for i := range 1000 {
		wants = append(wants, wanted{topic: "feed", partition: int32(i % 2)})
	}
	req := fetchRequest(11, wants...)
	req.MaxWaitMillis = longMillis
	for _, log := range logs {
		c.send(req)
		s.awaitWaiting(1)
		s.dial().publish(log, makeBatch(1, 1, 5000, 0))
		got := c.receive(req, c.next).(*kmsg.FetchResponse).Topics[0].Partitions
		answered := 0
		for _, p := range got {
			switch {
			case p.ErrorCode != 0:
				t.Fatalf("partition %d: error %d", p.Partition, p.ErrorCode)
			case len(p.RecordBatches) > 0 && (p.Partition != log.partition || !bytes.Equal(p.RecordBatches, log.from(0))):
				t.Fatalf("partition %d: %d bytes", p.Partition, len(p.RecordBatches))
			case len(p.RecordBatches) > 0:
				answered++
			}
		}
		if answered != 1 || len(got) != len(wants) {
			t.Errorf("%d of %d answers have records", answered, len(got))
		}
		for i := range req.Topics[0].Partitions {
			req.Topics[0].Partitions[i].FetchOffset = 1 - int64(i%2)
		}
	}
}
