package fanout

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/conn"
)

// A request that waits behind others stays charged when its client goes, until it has been done.
func TestRequestsOfClientsThatHaveGoneStayChargedUntilTheyEnd(t *testing.T) {
	disk := newGateFS()
	s := start(t, func(c *Config) { c.Log.FS = disk })
	good := s.dial()
	good.create("feed", 1)
	creating := disk.hold("open", catalog.MarkPrefix)
	s.onLoop(func(b *Broker) {
		wanted := []kmsg.CreateTopicsRequestTopic{{Topic: "wanted", NumPartitions: 1, ReplicationFactor: 1}}
		b.catalog.CreateTopics(wanted, false, func([]catalog.Refusal) {})
	})
	<-creating.arrived
	const clients = 20
	for range clients {
		c := s.dial()
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.Version = 3
		req.TopicNames = append(req.TopicNames, "wanted")
		for i := range 2000 {
			req.TopicNames = append(req.TopicNames, fmt.Sprint("other-", i))
		}
		c.send(req)
		s.await("the request", func(st Stats) bool { return st.RequestMemory > 0 })
	}
	s.await("all requests", func(st Stats) bool { return st.Requests["DeleteTopics"] == clients })
	charged := s.stats().RequestMemory
	for _, c := range s.otherClients(good) {
		c.close()
	}
	s.await("all others to be gone", func(st Stats) bool { return st.Closed["peer"] == clients })
	if now := s.stats().RequestMemory; now != charged || charged < clients*conn.DecodedFactor*2000 {
		t.Errorf("%d bytes are charged for %d requests that wait, %d were before their clients went", now, clients, charged)
	}
	good.alive()
	creating.release()
	s.await("everything to be given back", func(st Stats) bool { return st.RequestMemory == 0 && st.Connections == 1 })
}

// Requests that ask for much queue in a line of their own; the others never wait behind it.
func TestRequestsThatAskForMuchWaitInALine(t *testing.T) {
	s := start(t, nil)
	good := s.dial()
	good.create("wide", 600)
	const clients = 30
	var asking []*dialed
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.Version = 1
	for range clients {
		asking = append(asking, s.dial())
	}
	s.await("all to be accepted", func(st Stats) bool { return st.Connections == clients+1 })
	stopped, release := make(chan struct{}), make(chan struct{})
	s.broker.Do(func() { close(stopped); <-release })
	<-stopped
	for _, c := range asking {
		c.send(req)
	}
	inLine := make(chan int, 1)
	s.broker.Do(func() { inLine <- s.broker.conns.Stats().WaitingForTurn }) // in the next turn, after the requests have been looked at
	close(release)
	if n := <-inLine; n != clients {
		t.Errorf("%d of %d requests for the sizes of 600 logs wait in the line", n, clients)
	}
	good.alive()
	for _, c := range asking {
		frame := c.frameBytes()
		if len(frame) < 600*8 {
			t.Errorf("an answer has %d bytes, which is not the sizes of 600 logs", len(frame))
		}
	}
}
