package fanout

import (
	"time"

	"oneplusn/fanout/wire"
)

// awaitProduce parks the connection's produce until all its parts are settled.
func (b *Broker) awaitProduce(c *client) {
	c.parked = true
	c.deadline = b.loop.Now() + max(min(time.Duration(c.produce.TimeoutMillis)*time.Millisecond, maxWait), b.config.pace.produceWait)
	b.waiting.add(c)
}

// minProduceWait is the least that a produce waits for its write and its sync, whatever its client says: a disk that takes a second
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
		if r := &w.client.produced[w.result]; r.lastOffset >= p.log.HighWatermark() {
			return
		}
		b.ackOne(w)
	}
}

// refuseAcks answers every produce that waits for the partition with an error.
func (b *Broker) refuseAcks(p *partition, code int16, message string) {
	b.releaseGroups(p, true)
	for w := p.acks.first; w != nil; w = p.acks.first {
		r := &w.client.produced[w.result]
		r.ProduceResult = failedProduce(code, message)
		b.ackOne(w)
	}
}

// ackOne settles one partition of a waiting produce, and answers it with the last.
func (b *Broker) ackOne(w *waitNode) {
	w.unlink()
	b.settle(&w.client.produced[w.result])
}

// produceTimedOut answers a produce that has waited for as long as its client would.
func (b *Broker) produceTimedOut(c *client) {
	for i := range c.produced {
		if r := &c.produced[i]; !r.settled {
			r.ProduceResult = failedProduce(wire.CodeRequestTimedOut, "the disk has not confirmed the write in time; it may still")
			r.settled = true
		}
	}
	c.producing.unsettled = 0
	b.answerProduce(c)
}
