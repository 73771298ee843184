package conn

import (
	"fmt"
	"time"

	"oneplusn/segment/mark"
)

// When memory for requests or responses is used up, clients are held back. None is closed as long as it makes progress.

// HurryDivisor divides --frame-timeout: that is how long a client may be silent in the middle of a frame while others wait for
// the memory that it holds.
const HurryDivisor = 30

// awaitMemory queues the connection for request memory: for a buffer for its frame of that many bytes, or, if the frame is
// whole, for needs bytes to answer it. Its socket is not read meanwhile.
func (c *Conn) awaitMemory(frame int, needs int64) {
	mark.Hit("a connection waited for request memory")
	c.needsRequest = needs
	c.table.requests.lineOf(frame).waiters.PushBack(&c.forRequest, c)
}

// awaitResponse queues the connection for n bytes of response memory.
func (c *Conn) awaitResponse(n int) {
	mark.Hit("a response waited for memory")
	c.needsResponse = n
	if m := &c.table.Responses; m.turn == c { // it could not use its turn
		m.waiters.PushFront(&c.forResponse, c)
	} else {
		m.waiters.PushBack(&c.forResponse, c)
	}
}

// Relieve lets waiting connections go on, as far as there is memory again. It runs once a turn.
func (t *Table) Relieve() {
	if t.requests.waiting() > 0 {
		if t.loop.Now() >= t.nextReclaim {
			t.nextReclaim = t.loop.Now() + t.config.ReclaimEvery
			t.reclaim()
		}
		for i := range t.requests.lines {
			for l := &t.requests.lines[i]; l.waiters.Len() > 0 && t.feed(l.waiters.First().Value(), l); {
			}
		}
	}
	t.relieveResponses()
}

// relieveResponses repeats answers that waited for response memory, for a while.
func (t *Table) relieveResponses() {
	m := &t.Responses
	m.resume = false
	for began := t.loop.Kernel.Now(); m.waiters.Len() > 0; {
		c := m.waiters.First().Value()
		if !m.fits(c.needsResponse) && !t.config.Spare() {
			return
		}
		if m.resume = t.loop.Kernel.Now()-began > costlyTime; m.resume {
			return
		}
		m.turn, t.costly.turn = c, c
		c.forResponse.Remove()
		c.handler.RequestAgain()
		m.turn, t.costly.turn = nil, nil
		if c.forResponse.Linked() {
			return
		}
	}
}

// feed gives the first connection of a line its memory, if there is enough.
func (t *Table) feed(c *Conn, l *line) bool {
	if c.needsRequest > 0 {
		if !c.feedWhole() {
			return false
		}
	} else if !c.grow() {
		into, ok := t.requests.take(l.turn, c.frameWant(nil))
		if !ok {
			return false
		}
		mark.Hit("a frame got the turn of its line")
		c.enter(into)
		c.unspill()
	}
	c.forRequest.Remove()
	c.lastActive = t.loop.Now()
	c.serve()
	return true
}

// reclaim takes memory back that its holders do not need: the lists of idle connections, and the frames and lists of requests
// that only wait, which are answered with the data at hand.
func (t *Table) reclaim() {
	for c := range t.conns.All() {
		switch {
		case c.state != open:
		case (c.charged > 0 || c.in.large(&t.requests)) && c.handler.Reclaim():
			mark.Hit("a parked fetch was answered to free its memory")
		case !c.in.held && c.charged > 0:
			c.dropLists()
		}
	}
}

// closeLargest closes the connection with the largest unfinished request, unless that is c: there is no memory left even for
// what c has sent already. It reports whether it closed one.
func (t *Table) closeLargest(c *Conn) bool {
	most, held := c, c.in.heldBytes(&t.requests)
	for other := range t.conns.All() {
		if other.state == open && other.request == none && other.in.pins == 0 && other.in.heldBytes(&t.requests) > held {
			most, held = other, other.in.heldBytes(&t.requests)
		}
	}
	if most == c {
		return false
	}
	mark.Hit("the connection with the largest unfinished request was closed")
	most.Close(ByMemory, fmt.Errorf("it held %d bytes, more than any other, of a request that had not come whole: %w",
		held, t.requests.total.Refusal("another connection", int64(len(c.in.buf)))))
	t.requests.give(most.in.takeBuffer())
	most.in.spill.drop(&t.requests)
	return true
}

// heldBytes is the input's share of --request-memory.
func (in *input) heldBytes(m *requestMemory) int {
	if in.large(m) {
		return len(in.buf) + len(in.spill.bytes)
	}
	return len(in.spill.bytes)
}

// large says that the buffer is charged to --request-memory, not to the connection's own.
func (in *input) large(m *requestMemory) bool { return in.from != nil && in.from != m.connections }

// frameOverdue is the error of a request that has begun and makes no progress. While others wait for memory, a client that holds
// some has to hurry, and its whole request has to arrive within the timeout.
func (c *Conn) frameOverdue() error {
	limit := c.table.config.FrameTimeout
	if c.request != none || !c.in.begun() {
		return nil
	}
	silent, since := c.table.loop.Now()-c.lastActive, c.table.loop.Now()-c.in.began
	inTheWay := c.table.requests.waiting() > 0 && (c.in.large(&c.table.requests) || !c.in.spill.empty())
	held := c.forRequest.Linked()
	if (held || silent <= limit) && (!inTheWay || since <= limit && (held || silent <= limit/HurryDivisor)) {
		return nil
	}
	mark.HitIf(inTheWay, "a slow request was in the way of others")
	return fmt.Errorf("a request of %d bytes was begun %v ago, %d bytes came, the last %v ago (--frame-timeout %v)",
		c.frameWant(nil), since.Round(time.Millisecond), len(c.in.pending())+c.in.spill.len(), silent.Round(time.Millisecond), limit)
}

// stallTimeout is how long the peer may take no byte of its response.
func (c *Conn) stallTimeout() time.Duration {
	if c.table.Responses.waiters.Len() > 0 && (c.block != nil || c.shared != nil) {
		return min(c.table.config.StallTimeout, c.table.config.FrameTimeout)
	}
	return c.table.config.StallTimeout
}
