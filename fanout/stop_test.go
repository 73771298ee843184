package fanout

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"oneplusn/fanout/transfer"
)

func TestStopAnswersWaitingFetches(t *testing.T) {
	s := start(t, nil)
	publisher := s.dial()
	publisher.create("feed", 1)
	log := &shadow{topic: "feed"}
	publisher.publish(log, makeBatch(1, 1, 100, 0))
	req := waitingFetch("feed", 0, 0, longMillis)
	req.MinBytes = 1 << 20
	clients := make([]*dialed, 20)
	for i := range clients {
		clients[i] = s.dial()
		clients[i].send(req)
	}
	s.awaitWaiting(len(clients))
	s.broker.Stop()
	for _, c := range clients {
		if got := recordsOf(t, c.receive(req, c.next)); len(got) != len(log.from(0)) {
			t.Errorf("%d bytes were received, want all records: %d", len(got), len(log.from(0)))
		}
		c.expectClosed()
	}
	publisher.expectClosed()
	s.awaitEnd()
}

// Responses under way are finished before the end, and no request is begun any more.
func TestStopFinishesResponsesUnderWay(t *testing.T) {
	for _, mode := range transfer.Modes() {
		t.Run(mode.String(), func(t *testing.T) {
			s := start(t, cramped(mode))
			s.broker.config.DrainTimeout = patience
			log := bulk(s.dial(), "feed")
			clients := make([]*dialed, 5)
			for i := range clients {
				clients[i] = s.dialSlow()
				clients[i].send(fetchRequest(11, everything(log)))
			}
			s.await("the responses to be under way", func(st Stats) bool { return st.Requests["Fetch"] == 5 })
			s.broker.Stop()
			for i, c := range clients {
				if err := c.drain(log, 64<<10); err != nil {
					t.Errorf("subscriber %d: %v", i, err)
				}
				if rest := c.expectClosed(); len(rest) != 0 {
					t.Errorf("subscriber %d: %d bytes came after the response", i, len(rest))
				}
			}
			s.awaitEnd()
		})
	}
}

func TestStopClosesStalledSubscribersAtTheTimeout(t *testing.T) {
	for _, mode := range transfer.Modes() {
		t.Run(mode.String(), func(t *testing.T) {
			s := start(t, func(c *Config) {
				cramped(mode)(c)
				c.DrainTimeout = 50 * time.Millisecond
			})
			log := bulk(s.dial(), "feed")
			stalled := []*dialed{s.dialSlow(), s.dialSlow(), s.dialSlow(), s.dialSlow()}
			for _, c := range stalled {
				c.send(fetchRequest(11, everything(log)))
			}
			s.await("the responses to be under way", func(st Stats) bool { return st.Requests["Fetch"] == uint64(len(stalled)) })
			s.broker.Stop()
			s.awaitEnd()
			for _, c := range stalled {
				c.expectClosed()
			}
			if n := s.broker.conns.Stats().Closed["shutdown"]; n != uint64(len(stalled)+1) {
				t.Errorf("%d connections were closed by the shutdown, want %d", n, len(stalled)+1)
			}
		})
	}
}

func TestStopTwiceAndStatsAfterwardsDoNoHarm(t *testing.T) {
	s := start(t, nil)
	s.broker.Stop()
	s.broker.Stop()
	s.awaitEnd()
	s.broker.Stop()
	if _, err := s.broker.Stats(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Stats after the end: %v, want %v", err, os.ErrClosed)
	}
	if conn, err := net.Dial("tcp", s.broker.Address()); !errors.Is(err, syscall.ECONNREFUSED) {
		if conn != nil {
			_ = conn.Close()
		}
		t.Errorf("connecting after the end: %v, want %v", err, syscall.ECONNREFUSED)
	}
}

// Clients come and go in every state while the server serves and stops; nothing may be left of them.
func TestConnectionsThatVanishInAnyStateLeaveNothing(t *testing.T) {
	for _, mode := range transfer.Modes() {
		t.Run(mode.String(), func(t *testing.T) {
			s := start(t, cramped(mode))
			publisher := s.dial()
			log := bulk(publisher, "feed")
			for round := range 5 {
				var clients []*dialed
				for i := range 10 {
					c := s.dialSlow()
					clients = append(clients, c)
					switch i % 5 {
					case 0: // silent
					case 1:
						c.send(waitingFetch("feed", 0, log.end, longMillis))
					case 2:
						c.send(fetchRequest(11, everything(log)))
					case 3:
						c.write(c.frame(fetchRequest(11, everything(log)))[:20])
					case 4:
						c.write([]byte{0, 0, 0, 100})
					}
				}
				s.await("the requests to arrive", func(st Stats) bool {
					return st.WaitingFetches == 2 && st.Requests["Fetch"] == uint64(4*(round+1))
				})
				for i, c := range clients {
					if i%2 == 0 {
						_ = c.conn.SetLinger(0) // a reset in place of an end
					}
					c.close()
				}
				s.await("the connections to be forgotten", func(st Stats) bool { return st.Connections == 1 && st.Pipes.Lent == 0 })
			}
			publisher.alive()
		})
	}
}

// Closing the logs may take long. Calls meanwhile fail at once, and wake no closed ring.
func TestCallsDuringTheCloseOfTheLogsFailAtOnce(t *testing.T) {
	disk := newGateFS()
	s := start(t, func(c *Config) { c.Log.FS = disk })
	c := s.dial()
	c.create("feed", 1)
	c.publish(&shadow{topic: "feed"}, makeBatch(1, 1, 100, 0))
	c.close()
	closing := disk.hold("sync", "feed-0")
	defer closing.release()
	s.broker.Stop()
	<-closing.arrived
	for range 100 {
		if _, err := s.broker.Stats(t.Context()); !errors.Is(err, os.ErrClosed) {
			t.Fatalf("Stats: %v, want %v", err, os.ErrClosed)
		}
		if s.broker.Do(func() { t.Error("it ran after the end") }) {
			t.Fatal("work was taken after the end")
		}
	}
	closing.release()
	s.awaitEnd()
}

// Many ask for the statistics while the server stops, again and again: nothing is written into any file but what the
// server itself writes.
func TestStatsWhileTheServerStopsHarmNoFile(t *testing.T) {
	dir := t.TempDir()
	logs := make([]*shadow, 16)
	for i := range logs {
		logs[i] = &shadow{topic: "feed", partition: int32(i)}
	}
	for round := range 5 {
		s := start(t, func(c *Config) { c.DataDir, c.Log.RetentionAge = dir, -1 })
		c := s.dial()
		if round == 0 {
			c.create("feed", int32(len(logs)))
		}
		for i, log := range logs {
			c.publish(log, makeBatch(uint64(round*len(logs)+i), 1, 500, 0))
		}
		c.close()
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				for {
					if _, err := s.broker.Stats(t.Context()); err != nil {
						return
					}
				}
			})
		}
		s.broker.Stop()
		wait.Wait()
		s.stop()
		if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			if bytes.HasPrefix(content, []byte{1, 0, 0, 0, 0, 0, 0, 0}) {
				t.Errorf("%s begins with what wakes a ring", path)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	checkStart(t, dir, logs...)
}
