package commit

import (
	"fmt"

	"oneplusn/segment/list"
)

// Waiter waits for a partition's high watermark to pass an offset. Owner is set by the caller.
type Waiter struct {
	Owner  WaitOwner
	offset int64
	node   list.Node[*Waiter]
}

// WaitOwner is called once: when its records are committed, or with the reason why they never will be.
type WaitOwner interface{ Committed(err error) }

// Await queues a waiter for a record that is not committed. A waiter behind others waits for them too: only a duplicate's
// offset can be below theirs, and its producer can wait.
func (c *Committer) Await(p *Partition, w *Waiter, offset int64) {
	if p.removed != nil || p.Log.Poisoned() != nil || offset < p.Log.HighWatermark() || offset >= p.Log.LogEndOffset() {
		panic(fmt.Sprintf("commit: the commit of offset %d of %s cannot be waited for: high watermark %d, end %d, removed: %v, poisoned: %v",
			offset, p, p.Log.HighWatermark(), p.Log.LogEndOffset(), p.removed, p.Log.Poisoned()))
	}
	if last := p.waiters.Last(); last != nil {
		offset = max(offset, last.Value().offset)
	}
	w.offset = offset
	p.waiters.PushBack(&w.node, w)
}

// Cancel ends the wait, if there is one. The owner is not told.
func (w *Waiter) Cancel() { w.node.Remove() }

// advance notifies the watcher and the waiters of the high watermark.
func (c *Committer) advance(p *Partition) {
	to := p.Log.HighWatermark()
	if to < p.highWatermark {
		panic(fmt.Sprintf("commit: the high watermark of %s went back from %d to %d", p, p.highWatermark, to))
	}
	if to > p.highWatermark {
		p.highWatermark = to
		if p.Watcher != nil {
			p.Watcher.Advanced()
		}
	}
	if err := p.Log.Poisoned(); err != nil {
		p.refuseWaiters(err)
		return
	}
	for n := p.waiters.First(); n != nil && n.Value().offset < to; n = p.waiters.First() {
		n.Value().tell(nil)
	}
}

// refuseWaiters fails all waiters: their records will not be committed.
func (p *Partition) refuseWaiters(err error) {
	for n := p.waiters.First(); n != nil; n = p.waiters.First() {
		n.Value().tell(err)
	}
}

func (w *Waiter) tell(err error) {
	w.node.Remove()
	w.Owner.Committed(err)
}
