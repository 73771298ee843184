package fanout

import (
	"time"

	"oneplusn/fanout/wire"
)

// park lets the connection's fetch wait: for its partitions to grow, or until max_wait has passed.
func (b *Broker) park(c *conn) {
	wants := c.fetches()
	n := len(wants)
	if cap(c.waits) < n {
		c.waits = make([]waitNode, n)
	}
	c.waits = c.waits[:n]
	for i := range c.waits {
		want := &wants[i]
		c.waits[i].conn = c
		b.topics.find(want.Topic, want.Partition).waiters.push(&c.waits[i])
	}
	c.parked = true
	c.deadline = b.now + min(time.Duration(c.fetch.MaxWaitMillis)*time.Millisecond, maxWait)
	b.waiting.add(c)
}

// answerWaiting answers a request that has waited for as long as its client would.
func (b *Broker) answerWaiting(c *conn) {
	if c.header.Key == wire.KeyProduce {
		b.produceTimedOut(c)
		return
	}
	b.answerFetch(c)
}

// maxWait caps how long a fetch may wait, so that a connection is heard of now and then.
const maxWait = 5 * time.Minute

// unpark takes the request off every list that it waits on.
func (b *Broker) unpark(c *conn) {
	if !c.parked {
		return
	}
	c.parked = false
	for i := range c.waits {
		c.waits[i].unlink()
	}
	b.waiting.remove(c)
}

// wakeGrown answers the fetches that wait for partitions that grew in this turn. Their operations are only queued
// here; the next Wait submits them all at once.
func (b *Broker) wakeGrown() {
	for i, p := range b.grown {
		p.grown = false
		b.wakePartition(p)
		b.grown[i] = nil
	}
	b.grown = b.grown[:0]
}

func (b *Broker) wakePartition(p *partition) {
	// Those that still have too little go back to the end of the list; n stops before they are met again.
	for n := p.waiters.n; n > 0 && p.waiters.first != nil; n-- {
		w := p.waiters.first
		c := w.conn
		bytes, final := b.evaluate(c)
		if !final && bytes < int64(c.fetch.MinBytes) {
			w.unlink()
			p.waiters.push(w)
			continue
		}
		b.unpark(c)
		b.sendFetch(c)
	}
}
