package fanout

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestConnectionsAboveTheLimitAreRefusedAndSlotsServeAgain(t *testing.T) {
	const limit = 5
	s := start(t, func(c *Config) { c.MaxConnections = limit })
	for round := range 3 {
		var clients []*client
		for range limit {
			c := s.dial()
			c.alive()
			clients = append(clients, c)
		}
		for range 3 {
			if got := s.dial().expectClosed(); len(got) != 0 {
				t.Errorf("a refused connection got %d bytes", len(got))
			}
		}
		s.await("the refusals to be counted", func(st Stats) bool {
			return st.Closed["limit"] == uint64(3*(round+1)) && st.Connections == limit
		})
		for _, c := range clients {
			c.alive()
			c.close()
		}
		s.await("the slots to be free", func(st Stats) bool { return st.Connections == 0 })
	}
	if !strings.Contains(s.log.String(), "raise --max-connections") {
		t.Errorf("the log does not name the remedy:\n%s", s.log)
	}
}

// Request memory is one budget for all. Whoever needs more than is left is closed with the reason, the others go on,
// and what was taken comes back.
func TestRequestMemoryIsBoundedAndComesBack(t *testing.T) {
	s := start(t, func(c *Config) {
		c.MaxRequestBytes, c.RequestMemoryBytes, c.MaxMessageBytes = 1<<20, 3<<20, 512<<10
	})
	good := s.dial()
	good.create("feed", 1)
	log := &shadow{topic: "feed"}
	half := make([]byte, 700_000) // of a frame of 900,000 bytes, so each client takes a buffer of a mebibyte
	copy(half, []byte{0, 0x0d, 0xbb, 0xa0, 0, 0, 0, 7, 0, 0, 0, 1})
	for range 4 {
		s.dial().write(half[:100])
	}
	st := s.await("one too many to be closed", func(st Stats) bool { return st.Closed["memory"] >= 1 })
	if st.RequestMemory > 3<<20 {
		t.Errorf("%d bytes of request memory, the limit is %d", st.RequestMemory, 3<<20)
	}
	good.publish(log, makeBatch(1, 1, 300, 0))
	if !strings.Contains(s.log.String(), "raise --request-memory") {
		t.Errorf("the log does not name the remedy:\n%s", s.log)
	}
	big := s.dial()
	// The buffers of those that are still open leave no room for another large frame until they go.
	for _, c := range s.otherClients(good, big) {
		c.close()
	}
	s.await("the memory to come back", func(st Stats) bool { return st.RequestMemory <= 2*keptFrameBytes })
	big.publish(log, makeBatch(2, 1, 400_000, 0))
	if err := good.readAll(11, []*shadow{log}); err != nil {
		t.Error(err)
	}
}

// A partition takes a few bytes of a request and many of memory once it has been read. That memory is of the same
// budget, and a request of millions of partitions is refused before it takes any.
func TestMemoryOfRequestsWithManyPartitionsIsBounded(t *testing.T) {
	const partitions = 30_000
	s := start(t, func(c *Config) {
		c.MaxRequestBytes, c.RequestMemoryBytes, c.MaxMessageBytes = 4<<20, 16<<20, 512<<10
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
	for range 5 {
		s.dial().send(many)
	}
	st := s.await("one too many to be closed", func(st Stats) bool { return st.Closed["memory"] >= 1 })
	if st.RequestMemory > 16<<20 {
		t.Errorf("%d bytes of request memory, the limit is %d", st.RequestMemory, 16<<20)
	}
	for _, c := range s.otherClients(good) {
		c.close()
	}
	s.await("the memory to come back", func(st Stats) bool { return st.RequestMemory <= keptFrameBytes })

	body := with(header(0, 7), 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 'x')
	body = binary.BigEndian.AppendUint32(body, 400_000)
	bad := s.dial()
	bad.write(framed(append(body, make([]byte, 400_000*8)...)))
	bad.expectClosed()
	if !strings.Contains(s.log.String(), "more than 100000 partitions") {
		t.Errorf("the log does not name the limit:\n%s", s.log)
	}
	good.alive()
}

// Responses with more header bytes than a connection's slab holds take blocks from one budget.
func TestResponseMemoryIsBoundedAndComesBack(t *testing.T) {
	const partitions = 20_000 // 46 bytes of header each: a block of a mebibyte
	s := start(t, func(c *Config) { c.ResponseMemoryBytes = 4 << 20; c.SendBufferBytes = 128 << 10 })
	admin := s.dial()
	var wants []wanted
	for range partitions {
		wants = append(wants, wanted{topic: "no-such-topic"})
	}
	req := fetchRequest(11, wants...)
	readers := make([]*client, 4)
	for i := range readers {
		readers[i] = s.dialSlow()
		readers[i].send(req)
	}
	full := s.await("all blocks to be lent", func(st Stats) bool { return st.Requests["Fetch"] == 4 })
	if full.ResponseMemory != 4<<20 {
		t.Errorf("%d bytes of response memory, want all of %d", full.ResponseMemory, 4<<20)
	}
	refused := s.dialSlow()
	refused.send(req)
	refused.expectClosed()
	st := s.await("the fifth to be closed", func(st Stats) bool { return st.Closed["memory"] == 1 })
	if st.ResponseMemory > 4<<20 {
		t.Errorf("%d bytes of response memory, the limit is %d", st.ResponseMemory, 4<<20)
	}
	admin.alive()
	for _, c := range readers {
		if n := len(c.receive(req, c.next).(*kmsg.FetchResponse).Topics[0].Partitions); n != partitions {
			t.Errorf("%d partitions were answered, want %d", n, partitions)
		}
	}
	again := s.dial()
	again.ask(req)
	again.ask(req)
	// A class of another size is served from the same budget once the free blocks are dropped.
	larger := fetchRequest(11, append(wants, append(wants, wants...)...)...)
	if n := len(again.ask(larger).(*kmsg.FetchResponse).Topics[0].Partitions); n != 3*partitions {
		t.Errorf("%d partitions were answered, want %d", n, 3*partitions)
	}
}

func TestMetadataOfManyTopicsIsSentWhole(t *testing.T) {
	s := start(t, func(c *Config) { c.SegmentBytes = 1 << 14; c.MaxMessageBytes = 1 << 14 })
	c := s.dial()
	const topics = 40 // of 90 bytes each: more than a slab holds
	for i := range topics {
		c.create(fmt.Sprintf("topic-with-a-rather-long-name-%03d", i), 2)
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 8
	resp := c.ask(req).(*kmsg.MetadataResponse)
	if len(resp.Topics) != topics {
		t.Errorf("%d topics, want %d", len(resp.Topics), topics)
	}
	for i, topic := range resp.Topics {
		if want := fmt.Sprintf("topic-with-a-rather-long-name-%03d", i); *topic.Topic != want || len(topic.Partitions) != 2 {
			t.Errorf("topic %d is %s with %d partitions, want %s with 2", i, *topic.Topic, len(topic.Partitions), want)
		}
	}
}

func TestValidateNamesTheFieldAndItsLimits(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"partitions":        func(c *Config) { c.Partitions = 0 },
		"max-connections":   func(c *Config) { c.MaxConnections = 0 },
		"segment-bytes":     func(c *Config) { c.SegmentBytes = 1 << 31 },
		"max-message-bytes": func(c *Config) { c.MaxMessageBytes = 10 },
		"max-request-bytes": func(c *Config) { c.MaxRequestBytes = 10 },
		"request-memory":    func(c *Config) { c.RequestMemoryBytes = int64(c.MaxRequestBytes) - 1 },
		"response-memory":   func(c *Config) { c.ResponseMemoryBytes = 1 },
		"fetch-max-bytes":   func(c *Config) { c.FetchMaxBytes = 1 },
		"pipe-size":         func(c *Config) { c.Transfer.PipeBytes = 1 },
		"pipes":             func(c *Config) { c.Transfer.MaxPipes = 0 },
		"chunk-size":        func(c *Config) { c.Transfer.ChunkBytes = 0 },
		"copy-memory":       func(c *Config) { c.Transfer.CopyBytes = c.Transfer.ChunkBytes - 1 },
		"idle-timeout":      func(c *Config) { c.IdleTimeout = 1 },
		"stall-timeout":     func(c *Config) { c.StallTimeout = 1 },
		"cannot carry it":   func(c *Config) { c.MaxMessageBytes = int(c.MaxRequestBytes) },
	} {
		c := testConfig(t)
		change(&c)
		if _, err := Open(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
