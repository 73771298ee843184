package fanout

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"oneplusn/fanout/conn"
	"oneplusn/fanout/transfer"
)

// bulk publishes enough that a response does not fit into any socket buffer.
func bulk(c *dialed, topic string) *shadow {
	c.create(topic, 1)
	log := &shadow{topic: topic}
	for i := range 10 {
		c.publish(log, makeBatch(uint64(i), 1, 500_000, 0))
	}
	return log
}

// everything is one fetch of a whole log.
func everything(log *shadow) wanted { return wanted{log.topic, log.partition, 0, 50 << 20} }

// drain reads the response to a fetch of the whole log, in pieces of at most pieceBytes.
func (c *dialed) drain(log *shadow, pieceBytes int) error {
	want := log.from(0)
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	var got []byte
	piece := make([]byte, pieceBytes)
	total := fetchOverhead(log.topic) + len(want)
	for len(got) < total {
		n, err := c.conn.Read(piece[:min(pieceBytes, total-len(got))])
		if err != nil {
			return fmt.Errorf("%d of %d bytes came: %w", len(got), total, err)
		}
		got = append(got, piece[:n]...)
	}
	if !bytes.Equal(got[len(got)-len(want):], want) {
		return errors.New("the bytes are not those that were published")
	}
	return nil
}

// fetchOverhead is the size of a Fetch v11 response of one partition before its records.
func fetchOverhead(topic string) int {
	const frameAndHead, partition = 4 + 4 + 4 + 2 + 4 + 4, 4 + 2 + 8 + 8 + 8 + 4 + 4 + 4
	return frameAndHead + 2 + len(topic) + 4 + partition
}

// A subscriber that never reads, and one that takes a byte at a time, cost the others nothing: they finish, the pipes
// lent stay within the pool, memory does not grow. And when the stalled ones read on, they get every byte.
func TestSlowSubscriberDoesNotStallOthers(t *testing.T) {
	for _, mode := range transfer.Modes() {
		t.Run(mode.String(), func(t *testing.T) {
			s := start(t, func(c *Config) {
				cramped(mode)(c)
				c.Transfer.MaxPipes, c.Transfer.CopyBytes = 2, 2*c.Transfer.ChunkBytes
			})
			log := bulk(s.dial(), "feed")
			var stalled []*dialed
			for range 6 { // three for each pipe
				c := s.dialSlow()
				c.send(fetchRequest(11, everything(log)))
				stalled = append(stalled, c)
			}
			trickling := s.dialSlow()
			trickling.send(fetchRequest(11, everything(log)))
			stop, trickled := make(chan struct{}), make(chan int)
			go func() { trickled <- trickling.trickle(stop) }()

			before := s.await("the slow ones to fill their sockets", func(st Stats) bool { return st.Requests["Fetch"] == 7 })
			results := make(chan error)
			const others = 10
			for range others {
				c := s.dial()
				c.send(fetchRequest(11, everything(log)))
				go func() { results <- c.drain(log, 1<<20) }()
			}
			for range others {
				if err := <-results; err != nil {
					t.Errorf("a subscriber that reads: %v", err)
				}
			}
			st := s.stats()
			if st.Pipes.Open > st.Pipes.Max || st.Pipes.Max != 2 {
				t.Errorf("%d pipes are open, the pool has %d, want at most 2", st.Pipes.Open, st.Pipes.Max)
			}
			if more := st.RequestMemory - before.RequestMemory; more > (others+1)*conn.KeptFrameBytes || st.ResponseMemory != 0 {
				t.Errorf("request memory grew by %d, response memory is %d", more, st.ResponseMemory)
			}
			close(stop)
			skipped := <-trickled
			go func() { results <- trickling.drainRest(log, skipped) }()
			for _, c := range stalled {
				go func() { results <- c.drain(log, 64<<10) }()
			}
			for range len(stalled) + 1 {
				if err := <-results; err != nil {
					t.Errorf("a subscriber that stalled: %v", err)
				}
			}
		})
	}
}

// trickle takes single bytes until it is stopped, and returns how many.
func (c *dialed) trickle(stop <-chan struct{}) (n int) {
	var one [1]byte
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return n
		case <-tick.C:
			_ = c.conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.ReadFull(c.conn, one[:]); err != nil {
				return n
			}
			n++
		}
	}
}

// drainRest reads the rest of a response after its first bytes, and compares its end with the log's.
func (c *dialed) drainRest(log *shadow, skipped int) error {
	want := log.from(0)
	rest := make([]byte, fetchOverhead(log.topic)+len(want)-skipped)
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	if n, err := io.ReadFull(c.conn, rest); err != nil {
		return fmt.Errorf("%d of %d bytes came after %d one by one: %w", n, len(rest), skipped, err)
	}
	if n := min(len(rest), len(want)); !bytes.Equal(rest[len(rest)-n:], want[len(want)-n:]) {
		return errors.New("the bytes are not those that were published")
	}
	return nil
}

func TestSubscriberThatTakesNothingIsClosedAfterStallTimeout(t *testing.T) {
	for _, mode := range transfer.Modes() {
		t.Run(mode.String(), func(t *testing.T) {
			s := startTuned(t, cramped(mode), func(c *Config) { c.StallTimeout = time.Millisecond })
			publisher := s.dial()
			log := bulk(publisher, "feed")
			stalled := s.dialSlow()
			stalled.send(fetchRequest(11, everything(log)))
			st := s.await("the stalled subscriber to be closed", func(st Stats) bool { return st.Closed["stall"] == 1 && st.Pipes.Lent == 0 })
			if st.Connections != 1 {
				t.Errorf("%d connections are open, want the publisher's alone", st.Connections)
			}
			stalled.expectClosed()
			publisher.alive()
		})
	}
}

// The clock of a stall begins with each byte, so a subscriber that is merely slow is never closed.
func TestSlowButReadingSubscriberIsNotClosed(t *testing.T) {
	s := startTuned(t, cramped(transfer.Splice), func(c *Config) { c.StallTimeout = 500 * time.Millisecond })
	log := bulk(s.dial(), "feed")
	slow, stalled := s.dialSlow(), s.dialSlow()
	slow.send(fetchRequest(11, everything(log)))
	stalled.send(fetchRequest(11, everything(log)))
	reading := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		piece := make([]byte, 16<<10)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		var err error
		for err == nil {
			select {
			case <-stop:
				reading <- nil
				return
			case <-tick.C:
				_, err = io.ReadFull(slow.conn, piece)
			}
		}
		reading <- err
	}()
	// The stalled one is the clock: when it has been closed, the timeout has passed for the slow one too.
	st := s.await("the stalled subscriber to be closed", func(st Stats) bool { return st.Closed["stall"] > 0 })
	close(stop)
	if err := <-reading; err != nil || st.Closed["stall"] != 1 || st.Connections != 2 {
		t.Errorf("the slow subscriber: %v, %d connections are open and %d were closed", err, st.Connections, st.Closed["stall"])
	}
}

func TestIdleConnectionsAreClosedAndWaitingOnesAreNot(t *testing.T) {
	s := startTuned(t, nil, func(c *Config) { c.IdleTimeout = time.Millisecond })
	admin := s.dial()
	admin.create("feed", 1)
	waiting := s.dial()
	waiting.send(waitingFetch("feed", 0, 0, longMillis))
	silent := s.dial()
	st := s.await("the idle ones to be closed", func(st Stats) bool { return st.Closed["idle"] == 2 })
	if st.Connections != 1 || st.WaitingFetches != 1 {
		t.Errorf("%d connections, %d waiting fetches, want the waiting one alone", st.Connections, st.WaitingFetches)
	}
	silent.expectClosed()
	admin.expectClosed()
}
