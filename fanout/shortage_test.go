package fanout

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/conn"
	"oneplusn/fanout/wire"
)

// tight is a configuration in which a few large requests are all that there is memory for.
func tight(c *Config) {
	c.MaxRequestBytes, c.RequestMemoryBytes, c.Log.MaxBatchBytes = 1<<20, 24<<20, 900<<10
	c.FrameTimeout = time.Hour
}

// largeProduce is a produce of some 800 KB as bytes.
func (c *dialed) largeProduce(topic string) []byte {
	return c.frame(produceRequest(7, -1, topic, map[int32][]byte{0: makeBatch(7, 1, 800_000, 0)}))
}

// What a frame says about its size reserves nothing.
func TestFrameSizesAloneTakeNoMemory(t *testing.T) {
	s := start(t, tight)
	good := s.dial()
	good.create("feed", 1)
	log := &shadow{topic: "feed"}
	for range 40 {
		s.dial().write(binary.BigEndian.AppendUint32(nil, 1<<20))
	}
	s.await("all sizes to arrive", func(st Stats) bool { return st.Budgets["connection"].Used >= 41*conn.MinFrameBytes })
	if st := s.stats(); st.RequestMemory != 0 {
		t.Errorf("%d bytes of request memory are taken by sizes alone", st.RequestMemory)
	}
	good.publish(log, makeBatch(2, 1, 800_000, 0))
	if err := good.readAll(11, []*shadow{log}); err != nil {
		t.Error(err)
	}
}

// When the request memory is used up clients are held back, none is closed, small requests are served, and each request
// is answered in the end.
func TestRequestsWaitForRequestMemory(t *testing.T) {
	s := start(t, tight)
	good := s.dial()
	good.create("feed", 1)
	log := &shadow{topic: "feed"}
	var clients []*dialed
	var rests [][]byte
	for range 24 {
		c := s.dial()
		frame := c.largeProduce("feed")
		c.write(frame[:700_000])
		clients, rests = append(clients, c), append(rests, frame[700_000:])
	}
	s.await("memory to be waited for", func(st Stats) bool { return st.WaitingForMemory > 6 })
	for i := range 20 {
		good.publish(log, makeBatch(uint64(i), 1, 300, 0))
	}
	st := s.stats()
	if limit := st.Budgets["request"].Limit; st.RequestMemory > limit || limit != 24<<20 {
		t.Errorf("%d bytes of request memory, the limit is %d of %d", st.RequestMemory, limit, 24<<20)
	}
	for i, c := range clients {
		c.write(rests[i])
	}
	req := produceRequest(7, -1, "feed", nil)
	for i, c := range clients {
		if p := c.receive(req, c.next).(*kmsg.ProduceResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 {
			t.Errorf("client %d: error %d", i, p.ErrorCode)
		}
	}
	st = s.stats()
	if n := st.Closed["memory"] + st.Closed["frame"]; n != 0 {
		t.Errorf("%d clients were closed", n)
	}
	if st.RequestMemory != 0 || st.WaitingForMemory != 0 {
		t.Errorf("%d bytes of request memory are left, %d connections wait", st.RequestMemory, st.WaitingForMemory)
	}
}

func TestRequestThatDoesNotGoOnIsClosedWithItsReason(t *testing.T) {
	s := startTuned(t, nil, func(c *Config) { c.FrameTimeout = 60 * time.Millisecond })
	idle := s.dial()
	idle.alive()
	bad := s.dial()
	bad.write([]byte{0, 0, 1, 0, 0, 18})
	bad.expectClosed()
	s.await("the close to be counted", func(st Stats) bool { return st.Closed["frame"] == 1 })
	if log := s.log.String(); !strings.Contains(log, "--frame-timeout") || !strings.Contains(log, "a request of 260 bytes") {
		t.Errorf("the log does not say what came and which limit it is:\n%s", log)
	}
	idle.alive() // between two requests there is no such limit
}

// Clients that stall in the middle of a request while others wait for memory are closed, however many there are.
func TestStalledRequestsMakeRoomForThoseThatWait(t *testing.T) {
	s := startTuned(t, tight, func(c *Config) { c.FrameTimeout = conn.HurryDivisor * 60 * time.Millisecond })
	good := s.dial()
	good.create("feed", 1)
	for range 32 {
		c := s.dial()
		c.write(c.largeProduce("feed")[:400_000])
	}
	log := &shadow{topic: "feed"}
	good.publish(log, makeBatch(2, 1, 800_000, 0))
	if st := s.await("the stalled to be closed", func(st Stats) bool { return st.Closed["frame"] > 0 }); st.Closed["memory"] != 0 {
		t.Errorf("closed: %v", st.Closed)
	}
}

// A partition takes a few bytes of a request and many of memory once it has been read. That memory is of the same
// budget. Fetches that wait with much of it are answered early, so that others get on.
func TestMemoryOfRequestsWithManyPartitionsIsBounded(t *testing.T) {
	const partitions = 30_000
	s := start(t, func(c *Config) {
		c.MaxRequestBytes, c.RequestMemoryBytes, c.Log.MaxBatchBytes, c.MaxPartitions = 4<<20, 40<<20, 512<<10, 100_000
	})
	good := s.dial()
	good.create("feed", 1)
	wants := make([]wanted, partitions)
	for i := range wants {
		wants[i].topic = "feed"
	}
	many := fetchRequest(4, wants...)
	many.MaxWaitMillis = longMillis
	first := s.dial()
	first.send(many)
	s.awaitWaiting(1)
	if st := s.stats(); st.RequestMemory < partitions*96 {
		t.Errorf("%d bytes of request memory for a waiting fetch of %d partitions", st.RequestMemory, partitions)
	}
	for range 8 {
		s.dial().send(many)
	}
	st := s.await("all to be read", func(st Stats) bool { return st.Requests["Fetch"] == 9 && st.WaitingForMemory == 0 })
	if st.WaitingFetches == 0 || st.WaitingFetches == 9 {
		t.Errorf("%d of 9 fetches wait, want as many as there is memory for", st.WaitingFetches)
	}
	if st.RequestMemory > 40<<20 || st.Closed["memory"] != 0 {
		t.Errorf("%d bytes of request memory, the limit is %d; %d clients were closed", st.RequestMemory, 40<<20, st.Closed["memory"])
	}
	for _, c := range s.otherClients(good) {
		c.close()
	}
	s.await("the memory to come back", func(st Stats) bool { return st.RequestMemory == 0 })

	body := with(header(0, 7), 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 'x')
	body = binary.BigEndian.AppendUint32(body, 400_000)
	bad := s.dial()
	bad.write(framed(append(body, make([]byte, 400_000*8)...)))
	bad.expectClosed()
	if !strings.Contains(s.log.String(), "more than 65536 partitions") {
		t.Errorf("the log does not name the limit:\n%s", s.log)
	}
	good.alive()
}

// A request that could never be answered within the request memory is refused at once, with the remedy.
func TestRequestThatNeedsMoreThanAllRequestMemoryIsRefused(t *testing.T) {
	s := start(t, func(c *Config) { tight(c); c.RequestMemoryBytes, c.MaxPartitions = 8<<20, 100_000 })
	wants := make([]wanted, 62_000)
	for i := range wants {
		wants[i].topic = "feed"
	}
	c := s.dial()
	c.send(fetchRequest(4, wants...))
	c.expectClosed()
	s.await("the close to be counted", func(st Stats) bool { return st.Closed["memory"] == 1 && st.RequestMemory == 0 })
	if !strings.Contains(s.log.String(), "raise --request-memory") {
		t.Errorf("the log does not name the remedy:\n%s", s.log)
	}
}

// Responses with more header bytes than a connection's slab holds take blocks from one budget. Those for which there is
// no room wait until others have been read.
func TestResponsesWaitForResponseMemory(t *testing.T) {
	const partitions = 20_000 // 46 bytes of header each: a block of a mebibyte
	s := start(t, func(c *Config) {
		c.ResponseMemoryBytes, c.SendBufferBytes, c.MaxPartitions = 4<<20, 128<<10, 3*partitions
	})
	admin := s.dial()
	var wants []wanted
	for range partitions {
		wants = append(wants, wanted{topic: "no-such-topic"})
	}
	req := fetchRequest(11, wants...)
	readers := make([]*dialed, 7)
	for i := range readers {
		readers[i] = s.dialSlow()
		readers[i].send(req)
	}
	full := s.await("some to wait", func(st Stats) bool { return st.WaitingForMemory == 3 })
	if full.ResponseMemory != 4<<20 {
		t.Errorf("%d bytes of response memory, want all of %d", full.ResponseMemory, 4<<20)
	}
	admin.alive()
	for _, c := range readers {
		if n := len(c.receive(req, c.next).(*kmsg.FetchResponse).Topics[0].Partitions); n != partitions {
			t.Errorf("%d partitions were answered, want %d", n, partitions)
		}
	}
	// A class of another size is served from the same budget once the free blocks are dropped.
	larger := fetchRequest(11, append(wants, append(wants, wants...)...)...)
	if n := len(admin.ask(larger).(*kmsg.FetchResponse).Topics[0].Partitions); n != 3*partitions {
		t.Errorf("%d partitions were answered, want %d", n, 3*partitions)
	}
	if st := s.stats(); st.Closed["memory"] != 0 {
		t.Errorf("%d clients were closed", st.Closed["memory"])
	}
}

// The response to a request that changed something is kept while there is no room for it; that to a read-only request is
// made again.
func TestEveryKindOfRequestWaitsForResponseMemory(t *testing.T) {
	s := start(t, func(c *Config) { c.ResponseMemoryBytes = 1 << 20; c.SendBufferBytes = 64 << 10 })
	admin := s.dial()
	var wants []wanted
	for range 20_000 {
		wants = append(wants, wanted{topic: "no-such-topic"})
	}
	hog := fetchRequest(11, wants...)
	reader := s.dialSlow()
	reader.send(hog)
	s.await("the memory to be lent", func(st Stats) bool { return st.ResponseMemory == 1<<20 })
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version = 4
	for i := range 40 {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = fmt.Sprintf("%s-%d", strings.Repeat("long", 40), i), 0, 1
		create.Topics = append(create.Topics, topic)
	}
	list := kmsg.NewPtrListOffsetsRequest()
	list.Version = 5
	for i := range 200 {
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic = fmt.Sprint("no-such-topic-", i)
		topic.Partitions = append(topic.Partitions, kmsg.NewListOffsetsRequestTopicPartition())
		list.Topics = append(list.Topics, topic)
	}
	creator, lister := s.dial(), s.dial()
	creator.send(create)
	lister.send(list)
	s.await("both to wait", func(st Stats) bool { return st.WaitingForMemory == 2 })
	reader.receive(hog, reader.next)
	if n := len(creator.receive(create, creator.next).(*kmsg.CreateTopicsResponse).Topics); n != 40 {
		t.Errorf("%d topics were answered, want 40", n)
	}
	if n := len(lister.receive(list, lister.next).(*kmsg.ListOffsetsResponse).Topics); n != 200 {
		t.Errorf("%d topics were answered, want 200", n)
	}
	admin.alive()
}

// The lists of a request of 90,000 partitions take some 50 MB, and everybody waits while they are filled.
func TestRequestNamesNoMorePartitionsThanThereMayBe(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxPartitions = 10 })
	good := s.dial()
	good.create("feed", 1)
	wants := make([]wanted, leastMostPartitions+1)
	for i := range wants {
		wants[i] = wanted{topic: "feed", partition: int32(i)}
	}
	if n := len(good.ask(fetchRequest(4, wants[1:]...)).(*kmsg.FetchResponse).Topics[0].Partitions); n != leastMostPartitions {
		t.Errorf("%d partitions were answered", n)
	}
	produce := produceAll("feed", nil)
	produce.Topics[0].Partitions = make([]kmsg.ProduceRequestTopicPartition, leastMostPartitions+1)
	for _, req := range []kmsg.Request{fetchRequest(4, wants...), produce} {
		bad := s.dial()
		bad.send(req)
		bad.expectClosed()
	}
	s.await("both to be closed", func(st Stats) bool { return st.Closed["protocol"] == 2 })
	if !strings.Contains(s.log.String(), "it names 20001, the limit is 20000 partitions") {
		t.Errorf("the log does not name the limit:\n%s", s.log)
	}

	session := s.dial()
	first := fetchRequest(7, wants[1:]...)
	first.SessionEpoch = 0
	id := session.ask(first).(*kmsg.FetchResponse).SessionID
	more := fetchRequest(7, wants[0], wanted{topic: "feed", partition: leastMostPartitions + 1})
	more.SessionID, more.SessionEpoch = id, 1
	if code := session.ask(more).(*kmsg.FetchResponse).ErrorCode; id == 0 || code != wire.CodeFetchSessionIDNotFound {
		t.Errorf("session %d: error %d for a partition too many", id, code)
	}
	good.alive()
}
