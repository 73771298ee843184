package fanout

import (
	"fmt"
	"time"
)

// This file is what happens when memory for requests or responses is used up: clients are held back, and nobody is closed
// who goes on.

// hurryDivisor makes of --frame-timeout how long a client may be silent in the middle of a request, or take nothing of a
// response, while others wait for the memory that it holds.
const hurryDivisor = 30

// awaitMemory lets the connection wait for request memory: for a larger buffer for its frame of that many bytes, or for
// needs bytes to answer it, which it has received whole. Its socket is not read meanwhile.
func (c *conn) awaitMemory(frame int, needs int64) {
	c.needsRequest = needs
	c.broker.frames.lineOf(frame).push(&c.forRequest, c)
}

// awaitResponse lets the connection wait for n bytes of response memory.
func (c *conn) awaitResponse(n int) {
	c.needsResponse = n
	if c.broker.blocks.turn == c {
		c.broker.blocks.queue.pushFront(&c.forResponse, c)
		return
	}
	c.broker.blocks.queue.push(&c.forResponse, c)
}

// leaveQueues ends the connection's waits for memory.
func (c *conn) leaveQueues() {
	c.forRequest.leave()
	c.forResponse.leave()
	c.forTurn.leave()
}

// relieve lets connections go on for which there is memory again. It runs once a turn.
func (b *Broker) relieve() {
	if b.frames.waiting() > 0 {
		if b.loop.Now() >= b.nextReclaim {
			b.nextReclaim = b.loop.Now() + b.config.pace.sweep
			b.reclaim()
		}
		for i := range b.frames.lines {
			for l := &b.frames.lines[i]; l.first != nil && b.feed(l.first.conn, l); {
			}
		}
	}
	b.relieveResponses()
}

// relieveResponses answers requests again that waited for response memory, for a while.
func (b *Broker) relieveResponses() {
	m := &b.blocks
	m.resume = false
	for began := b.loop.Kernel.Now(); m.queue.first != nil; {
		c := m.queue.first.conn
		if !m.fits(c.needsResponse) && !b.metadata.drop(m) {
			return
		}
		if m.resume = b.loop.Kernel.Now()-began > costlyTime; m.resume {
			return
		}
		m.turn, b.costly.turn = c, c
		c.forResponse.leave()
		c.handler.again()
		m.turn, b.costly.turn = nil, nil
		if c.forResponse.waits() {
			return
		}
	}
}

// feed gives the first connection of a line what it waits for, if there is room.
func (b *Broker) feed(c *conn, l *line) bool {
	if c.needsRequest > 0 {
		if !c.feedWhole() {
			return false
		}
	} else if !c.grow() {
		into, ok := b.frames.take(l.turn, c.frameWant(nil))
		if !ok {
			return false
		}
		c.enter(into)
		c.unspill()
	}
	c.forRequest.leave()
	c.lastActive = b.loop.Now()
	c.serve()
	return true
}

// reclaim takes back the memory of those who can do without it: the lists of connections that wait for nothing, and the
// frames and lists of waiting fetches, which are answered with what there is.
func (b *Broker) reclaim() {
	for c := range b.conns.all() {
		switch {
		case c.state != connOpen:
		case (c.charged > 0 || c.in.large(&b.frames)) && c.handler.reclaim():
		case !c.in.held && c.charged > 0:
			c.dropLists()
		}
	}
}

// closeLargest closes the connection that holds the most of requests that it has not sent whole, if that is not c: there is
// no memory left even for what c has sent already. It says whether it closed one.
func (b *Broker) closeLargest(c *conn) bool {
	most, held := c, c.in.heldBytes(&b.frames)
	for other := range b.conns.all() {
		if other.state == connOpen && !other.busy && other.in.pins == 0 && other.in.heldBytes(&b.frames) > held {
			most, held = other, other.in.heldBytes(&b.frames)
		}
	}
	if most == c {
		return false
	}
	most.close(closedByMemory, fmt.Errorf("fanout: it held %d bytes, more than any other, of a request that had not come whole: %w",
		held, b.frames.total.Refusal("another connection", int64(len(c.in.buf)))))
	b.frames.give(most.in.takeBuffer())
	most.in.spill.drop(&b.frames)
	return true
}

// heldBytes is what the input takes of the memory that connections share.
func (in *input) heldBytes(m *requestMemory) int {
	if in.large(m) {
		return len(in.buf) + len(in.spill.bytes)
	}
	return len(in.spill.bytes)
}

// large says that the buffer is of the memory that connections share.
func (in *input) large(m *requestMemory) bool { return in.from != nil && in.from != m.connections }

// frameOverdue says that a request was begun and does not go on. While others wait for memory a client that holds some of
// it has to hurry, and all of its request has to come within the time.
func (c *conn) frameOverdue() error {
	limit := c.broker.config.FrameTimeout
	if c.busy || !c.in.begun() {
		return nil
	}
	silent, since := c.broker.loop.Now()-c.lastActive, c.broker.loop.Now()-c.in.began
	inTheWay := c.broker.frames.waiting() > 0 && (c.in.large(&c.broker.frames) || !c.in.spill.empty())
	held := c.forRequest.waits()
	if (held || silent <= limit) && (!inTheWay || since <= limit && (held || silent <= limit/hurryDivisor)) {
		return nil
	}
	return fmt.Errorf("fanout: a request of %d bytes was begun %v ago, %d bytes came, the last %v ago (--frame-timeout %v)",
		c.frameWant(nil), since.Round(time.Millisecond), len(c.in.pending())+c.in.spill.len(), silent.Round(time.Millisecond), limit)
}

// stallTimeout is how long the peer may take nothing of its response.
func (c *conn) stallTimeout() time.Duration {
	if c.broker.blocks.queue.n > 0 && (c.block != nil || c.shared != nil) {
		return min(c.broker.config.StallTimeout, c.broker.config.FrameTimeout)
	}
	return c.broker.config.StallTimeout
}
