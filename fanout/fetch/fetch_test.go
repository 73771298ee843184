package fetch

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

func TestParkedFetchIsLinkedUntilItIsAnswered(t *testing.T) {
	l := newLab(t, 3, nil)
	c := l.dial()
	if resp := c.ask(request(0, 1, 2, 1)); resp != nil {
		t.Fatalf("a fetch of empty partitions is answered: %+v", resp)
	}
	if l.Parked() != 1 || c.charged == 0 {
		t.Errorf("%d fetches are parked, want 1; its lists were charged %d bytes", l.Parked(), c.charged)
	}
	for _, p := range l.partitions {
		if n := p.waiting.Len(); n != 1 {
			t.Errorf("%d waits for partition %d, want 1, however often the fetch names it", n, p.Index)
		}
	}
	l.publish(2, 100)
	l.publish(2, 100)
	if len(l.advanced) != 1 || len(c.responses) != 0 {
		t.Fatalf("%d partitions have advanced, want one, and no answer before the turn's end: %d", len(l.advanced), len(c.responses))
	}
	l.turn()
	if len(c.responses) != 1 || l.Parked() != 0 || l.Pending() {
		t.Fatalf("%d responses, %d fetches parked", len(c.responses), l.Parked())
	}
	if got := bytesOf(c.responses[0]); got[0] != 0 || got[1] != 0 || got[2] == 0 || got[3] != 0 {
		t.Errorf("records of %v bytes, want some of the third partition only", got)
	}
	for _, p := range l.partitions {
		if p.waiting.Len() != 0 {
			t.Errorf("partition %d is still waited for", p.Index)
		}
	}
}

func TestParkedFetchIsAnsweredAfterItsTimeWhenItIsHurriedAndAtTheStop(t *testing.T) {
	l := newLab(t, 1, nil)
	waits, hurried, stopped := l.dial(), l.dial(), l.dial()
	waits.ask(request(0))
	later := request(0)
	later.MaxWaitMillis = 60_000
	hurried.ask(later)
	stopped.ask(later)
	if at := l.Next(); at != time.Second {
		t.Errorf("the next deadline is %v", at)
	}
	l.now = time.Second
	l.turn()
	if len(waits.responses) != 1 || l.Parked() != 2 {
		t.Errorf("after max_wait: %d responses, %d are still parked", len(waits.responses), l.Parked())
	}
	if !hurried.HurryParked() || hurried.HurryParked() || len(hurried.responses) != 1 {
		t.Errorf("hurried: %d responses", len(hurried.responses))
	}
	l.Stop()
	if len(stopped.responses) != 1 || waits.ask(request(0)) == nil {
		t.Error("a fetch waits though the server stops")
	}
}

func TestRemovedPartitionEndsTheFetchesThatWaitForIt(t *testing.T) {
	l := newLab(t, 2, nil)
	c := l.dial()
	c.ask(request(0, 1))
	l.Remove(l.partitions[1])
	l.turn()
	if len(c.responses) != 1 || c.responses[0].Topics[0].Partitions[1].ErrorCode != wire.CodeUnknownTopicOrPartition {
		t.Errorf("responses %+v", c.responses)
	}
}

func TestFetchesOfTheSameColdPlaceShareOneLookup(t *testing.T) {
	l := newLab(t, 1, nil)
	for range 40 {
		l.publish(0, 1000)
	}
	l.cold.Store(true)
	inside := request(0)
	inside.Topics[0].Partitions[0].FetchOffset = 2 // its batch begins where only the disk tells
	var conns []*conn
	for range 5 {
		c := l.dial()
		conns = append(conns, c)
		if c.ask(inside) != nil {
			t.Fatal("a fetch is answered without the disk")
		}
	}
	gone := conns[4]
	gone.End()
	l.untilLookedUp()
	if l.Lookups() != 1 {
		t.Errorf("%d lookups, want one", l.Lookups())
	}
	for _, c := range conns[:4] {
		if len(c.responses) != 1 || bytesOf(c.responses[0])[0] == 0 {
			t.Errorf("%d responses", len(c.responses))
		}
	}
	if len(gone.responses) != 0 {
		t.Error("a connection that had ended was answered")
	}
	// The slot's next connection is another one.
	gone.Open(l.Fetcher, gone)
	gone.ask(inside)
	l.untilLookedUp()
	if len(gone.responses) != 1 {
		t.Error("the next connection was not answered")
	}
}

func TestResponseThatFindsNoRoomIsSentWholeLater(t *testing.T) {
	l := newLab(t, 1, nil)
	l.publish(0, 100)
	c := l.dial()
	req := request(0)
	req.SessionEpoch = 0
	c.full = true
	c.ask(req)
	c.full = false
	c.SendAgain()
	if len(c.responses) != 1 || c.responses[0].SessionID == 0 || bytesOf(c.responses[0])[0] == 0 {
		t.Fatalf("responses %+v", c.responses)
	}
	next := request(0)
	next.SessionID, next.SessionEpoch, next.Topics[0].Partitions[0].FetchOffset, next.MaxWaitMillis = c.responses[0].SessionID, 1, 1, 0
	c.full = true
	c.ask(next)
	l.partitions[0].Log.DeleteRecords(1)
	c.full = false
	c.SendAgain()
	if got := c.responses[1]; len(got.Topics) != 1 || got.Topics[0].Partitions[0].LogStartOffset != 1 {
		t.Errorf("a partition that was not sent is omitted: %+v", got)
	}
}

// Random changes of a session, against a model, with a budget that is too small now and then.
func TestSessionIsChargedForWhatItHolds(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	l := newLab(t, 0, func(c *Config) { c.SessionMemoryBytes = SessionTopicBytes*6 + SessionPartitionBytes*20 })
	c := l.dial()
	c.request.Partitions = []wire.FetchPartition{{Topic: []byte("a")}}
	c.newSession()
	type key struct {
		topic     string
		partition int32
	}
	model := map[key]int64{{"a", 0}: 0}
	for step := range 2000 {
		var req wire.FetchRequest
		for range random.IntN(3) {
			k := key{string(rune('a' + random.IntN(8))), random.Int32N(6)}
			req.Forgotten = append(req.Forgotten, wire.ForgottenPartition{Topic: []byte(k.topic), Partition: k.partition})
			delete(model, k)
		}
		for range random.IntN(4) {
			k, offset := key{string(rune('a' + random.IntN(8))), random.Int32N(6)}, random.Int64()
			req.Partitions = append(req.Partitions, wire.FetchPartition{Topic: []byte(k.topic), Partition: k.partition, FetchOffset: offset})
			model[k] = offset
		}
		if !c.session.update(l.Fetcher, &req) {
			c.endSession()
			if l.sessions.Used() != 0 {
				t.Fatalf("seed %d, step %d: %d bytes are taken after the end", seed, step, l.sessions.Used())
			}
			clear(model)
			continue
		}
		c.session.recount()
		if len(c.session.partitions) != len(model) || l.sessions.Used() != c.session.charged {
			t.Fatalf("seed %d, step %d: %d partitions, want %d", seed, step, len(c.session.partitions), len(model))
		}
		for _, p := range c.session.partitions {
			if want, ok := model[key{string(p.Topic), p.Partition}]; !ok || want != p.FetchOffset {
				t.Fatalf("seed %d, step %d: %s-%d is at %d, want %d", seed, step, p.Topic, p.Partition, p.FetchOffset, want)
			}
		}
	}
}

func TestByTimeFindsTheFirstReadableRecord(t *testing.T) {
	l := newLab(t, 2, nil)
	for range 20 {
		l.publish(0, 1000)
		l.publish(1, 10)
	}
	answers := make([]kmsg.ListOffsetsResponseTopicPartition, 3)
	ended, wanted := 0, true
	search := func(meanwhile func()) {
		s := l.ByTime(0, func() bool { return wanted }, func() { ended++ })
		for i := range answers {
			answers[i] = kmsg.ListOffsetsResponseTopicPartition{Offset: -1}
		}
		s.Add(l.partitions[0], 1, &answers[0])
		s.Add(l.partitions[1], 1, &answers[1])
		s.Add(l.partitions[1], time.Now().Add(time.Hour).UnixMilli(), &answers[2])
		s.Run()
		meanwhile()
		l.untilLookedUp()
	}
	offsets := func() (list []int64) {
		for i := range answers {
			list = append(list, answers[i].Offset)
		}
		return list
	}
	search(func() { l.partitions[0].Log.DeleteRecords(10) })
	if got := offsets(); !slices.Equal(got, []int64{10, 0, -1}) || ended != 1 {
		t.Errorf("offsets %d, ended %d times", got, ended)
	}
	search(func() { l.Remove(l.partitions[1]) })
	if got := offsets(); !slices.Equal(got, []int64{10, -1, -1}) || answers[1].ErrorCode != wire.CodeUnknownTopicOrPartition {
		t.Errorf("offsets %d, error %d for the removed partition", got, answers[1].ErrorCode)
	}
	search(func() { wanted = false })
	if got := offsets(); !slices.Equal(got, []int64{-1, -1, -1}) || ended != 3 {
		t.Errorf("offsets %d for a client that has gone, ended %d times", got, ended)
	}
}

func TestWhatMustNotBeSentIsNot(t *testing.T) {
	l := newLab(t, 1, nil)
	l.publish(0, 100)
	c := l.dial()
	c.ask(request(0))
	log := l.partitions[0].Log
	found, err := log.Read(0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	good := result{partition: l.partitions[0], records: found, FetchResult: wire.FetchResult{RecordsBytes: int32(found.Len)}}
	e := &l.evaluation
	e.mustBeSendable(&good, 0)
	above, header, behind := good, good, good
	above.records.Len++
	above.RecordsBytes++
	header.RecordsBytes--
	mustPanic(t, "of them are readable", func() { e.mustBeSendable(&above, 0) })
	mustPanic(t, "the header says", func() { e.mustBeSendable(&header, 0) })
	mustPanic(t, "are sent for offset 1", func() { e.mustBeSendable(&behind, 1) })
	behind.records = segment.Range{Segment: found.Segment, Pos: -1, Len: found.Len}
	mustPanic(t, "at -1", func() { e.mustBeSendable(&behind, 0) })
}

func TestFetchStartsOnlyWhenTheLastOneHasEnded(t *testing.T) {
	l := newLab(t, 1, nil)
	c := l.dial()
	c.ask(request(0))
	mustPanic(t, "starts while", func() { c.ask(request(0)) })
	mustPanic(t, "a parked fetch", func() { c.try() })
	mustPanic(t, "dropped", func() { c.DropLists() })
}
