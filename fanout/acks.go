package fanout

import (
	"time"

	"oneplusn/fanout/wire"
)

// awaitCommit parks the connection's produce until the high watermark has passed what it appended. It is false if there
// is nothing to wait for. The results are in c.produced.
func (b *Broker) awaitCommit(c *conn) bool {
	n := 0
	for i := range c.produced {
		if c.produced[i].waits {
			n++
		}
	}
	if n == 0 {
		return false
	}
	if cap(c.waits) < n {
		c.waits = make([]waitNode, n)
	}
	c.waits = c.waits[:0]
	for i := range c.produced {
		r := &c.produced[i]
		if !r.waits {
			continue
		}
		c.waits = append(c.waits, waitNode{conn: c, result: i})
		r.partition.acks.push(&c.waits[len(c.waits)-1])
	}
	c.unsynced = n
	c.parked = true
	c.deadline = b.now + max(min(time.Duration(c.produce.TimeoutMillis)*time.Millisecond, maxWait), b.config.pace.produceWait)
	b.waiting.add(c)
	return true
}

// minProduceWait is the least that a produce waits for its sync, whatever its client says: a disk that takes a second
// is slow and not broken, and a retry would not make it faster.
const minProduceWait = time.Second

// releaseAcks answers the produces whose records are below the high watermark.
func (b *Broker) releaseAcks(p *partition) {
	if err := p.log.Poisoned(); err != nil {
		b.refuseAcks(p, wire.CodeKafkaStorageError, err.Error())
		return
	}
	b.releaseGroups(p, false)
	for w := p.acks.first; w != nil; w = p.acks.first {
		if r := &w.conn.produced[w.result]; r.lastOffset >= p.log.HighWatermark() {
			return
		}
		b.ackOne(w)
	}
}

// refuseAcks answers every produce that waits for the partition with an error.
func (b *Broker) refuseAcks(p *partition, code int16, message string) {
	b.releaseGroups(p, true)
	for w := p.acks.first; w != nil; w = p.acks.first {
		r := &w.conn.produced[w.result]
		r.ProduceResult = failedProduce(code, message)
		b.ackOne(w)
	}
}

// ackOne settles one partition of a waiting produce, and answers it with the last.
func (b *Broker) ackOne(w *waitNode) {
	c := w.conn
	w.unlink()
	c.produced[w.result].waits = false
	if c.unsynced--; c.unsynced == 0 {
		b.unpark(c)
		b.answerProduce(c)
	}
}

// produceTimedOut answers a produce that has waited for as long as its client would.
func (b *Broker) produceTimedOut(c *conn) {
	for i := range c.produced {
		if r := &c.produced[i]; r.waits {
			r.ProduceResult = failedProduce(wire.CodeRequestTimedOut, "the disk has not confirmed the write in time; it may still")
			r.waits = false
		}
	}
	b.answerProduce(c)
}
