package fanout

import (
	"time"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// A fetch that waits knows what each of its partitions counts towards min_bytes, and the sum. So one that grows costs one
// sum for each fetch that waits for it, however many partitions these are about.

// park lets the connection's fetch wait: for its partitions to grow, or until max_wait has passed. It was just evaluated.
func (b *Broker) park(c *client) {
	n := len(c.fetches())
	if cap(c.waits) < n {
		c.waits = make([]waitNode, n)
	}
	c.waits = c.waits[:n]
	c.readable = 0
	for i := range c.waits {
		r := &b.results[i]
		c.waits[i] = waitNode{client: c, result: i, place: r.place, readable: r.readable}
		c.readable += r.readable
		if r.repeated {
			continue
		}
		r.partition.waiters.push(&c.waits[i])
	}
	c.lookups.forget()
	c.parked = true
	c.deadline = c.fetchDeadline()
	b.waiting.add(c)
}

// answerWaiting answers a request that has waited for as long as its client would.
func (b *Broker) answerWaiting(c *client) {
	if c.header.Key == wire.KeyProduce {
		b.produceTimedOut(c)
		return
	}
	b.tryFetch(c)
}

// maxWait caps how long a fetch may wait, so that a connection is heard of now and then.
const maxWait = 5 * time.Minute

// unpark takes the request off every list that it waits on.
func (b *Broker) unpark(c *client) {
	if !c.parked {
		return
	}
	c.parked = false
	for i := range c.waits {
		c.waits[i].unlink()
		c.waits[i].place = segment.Range{} // of a segment that may have gone
	}
	if c.header.Key == wire.KeyProduce {
		for i := range c.produced {
			c.produced[i].wait.Cancel()
		}
	}
	b.waiting.remove(c)
}

// markGrown notes that fetches that wait for the partition can be looked at, once all completions of this turn have
// been handled: several appends then wake them once.
func (b *Broker) markGrown(p *partition) {
	if !p.grown && p.waiters.n > 0 {
		p.grown = true
		b.grown = append(b.grown, p)
	}
}

// evaluatedPerTurn bounds the partitions of fetches that are evaluated in a turn, which is some milliseconds: what one
// publish makes ready, or the same moment ends, may be thousands of fetches of thousands of partitions.
const evaluatedPerTurn = 20_000

// evaluations counts the evaluations of fetches, and the partitions of these.
type evaluations struct{ fetches, partitions, until uint64 }

func (e *evaluations) begin(partitions int) {
	e.fetches++
	e.partitions += uint64(partitions)
}

// first says that a partition has not come yet in this evaluation of a fetch.
func (e *evaluations) first(p *partition) bool {
	before := p.evaluated
	p.evaluated = e.fetches
	return before != e.fetches
}

func (e *evaluations) beginTurn() { e.until = e.partitions + evaluatedPerTurn }

// enough says that the next evaluation is for the next turn.
func (e *evaluations) enough() bool { return e.partitions >= e.until }

// wakeGrown answers the fetches that wait for partitions that grew in this turn. Their operations are only queued
// here; the next Wait submits them all at once.
func (b *Broker) wakeGrown() {
	done := 0
	for ; done < len(b.grown); done++ {
		p := b.grown[done]
		p.grown = false
		if !b.wakePartition(p) {
			p.grown = true
			break
		}
	}
	left := copy(b.grown, b.grown[done:])
	clear(b.grown[left:])
	b.grown = b.grown[:left]
}

// wakePartition reports false if there was not enough of the turn left.
func (b *Broker) wakePartition(p *partition) bool {
	gone := b.topics.byName[p.topic.name] != p.topic
	// Those that still have too little go back to the end of the list; n stops before they are met again.
	for n := p.waiters.n; n > 0 && p.waiters.first != nil; n-- {
		if b.evaluated.enough() {
			return false
		}
		w := p.waiters.first
		if !gone && !b.grew(w, p) {
			w.unlink()
			p.waiters.push(w)
			continue
		}
		b.unpark(w.client)
		b.tryFetch(w.client)
	}
	return true
}

// grew counts what a partition has grown by for one fetch that waits for it, and says whether the fetch is to be answered.
func (b *Broker) grew(w *waitNode, p *partition) bool {
	c := w.client
	want := &c.fetches()[w.result]
	switch {
	case want.FetchOffset < p.log.LogStartOffset():
		return true
	case c.fetch.Isolation == readCommitted && p.log.LastStableOffset() < p.log.HighWatermark():
		return false // it grows behind what the fetch may have
	case w.place.Segment == nil:
		return true
	}
	readable, ended := p.log.Behind(w.place)
	readable = max(min(readable, int64(max(want.PartitionMaxBytes, 0))), w.readable)
	c.readable += readable - w.readable
	w.readable = readable
	return ended || c.readable >= b.minBytes(c)
}
