package commit

import (
	"errors"
	"fmt"
	"time"

	"oneplusn/segment"
	"oneplusn/segment/list"
	"oneplusn/segment/mark"
)

// appendQueue holds the batches on their way to a partition's log. Those that arrive during a write have no offset yet.
type appendQueue struct {
	waiting  list.List[*Append]
	inFlight list.List[*Append]
	write    *segment.Write // that of inFlight; nil if none is
	due      bool           // on Committer.due
	fast     int            // writes in a row that were: see inlineWrites
	took     time.Duration  // the last write off the loop
	start    func()         // runs the write off the loop: see writers
	nextDone *Partition     // links partitions whose write has run: see writers
}

// Append is a producer's batch, or records of the server's own, on their way to the log. Batches must not move or change
// until Owner is told.
type Append struct {
	Batches []byte
	Checked segment.Checked
	Owner   AppendOwner

	appended segment.Appended
	node     list.Node[*Append]
}

// AppendOwner is called once, when the append has ended. It may append more.
type AppendOwner interface {
	Appended(p *Partition, appended segment.Appended, err error)
}

// Append queues an append to a partition. All appends of a turn begin together, before it ends.
func (c *Committer) Append(p *Partition, a *Append) {
	if p.removed != nil || a.Owner == nil {
		panic(fmt.Sprintf("commit: an append to %s for %v, the partition is removed: %v", p, a.Owner, p.removed))
	}
	c.pending++
	p.queue.waiting.PushBack(&a.node, a)
	c.scheduleWrite(p)
}

// scheduleWrite marks the partition for [Committer.BeginWrites] of this turn.
func (c *Committer) scheduleWrite(p *Partition) {
	if q := &p.queue; !q.due && q.write == nil && q.waiting.Len() > 0 {
		q.due = true
		c.due = append(c.due, p)
	}
}

// BeginWrites begins a write for every partition that has something to write and no write in flight.
func (c *Committer) BeginWrites() {
	for len(c.due) > 0 && !c.writers.full() {
		due := c.due
		c.due = c.spare[:0]
		for i, p := range due {
			due[i] = nil
			p.queue.due = false
			if c.writers.full() {
				c.scheduleWrite(p)
				continue
			}
			c.beginWrite(p)
		}
		c.spare = due[:0]
	}
}

// beginWrite checks and places waiting batches, as many as one write takes, and hands the write out. It fails refused ones.
func (c *Committer) beginWrite(p *Partition) {
	q := &p.queue
	if q.write != nil {
		panic(fmt.Sprintf("commit: a second write of %s begins while one is in flight", p))
	}
	if q.waiting.Len() == 0 {
		return // refused meanwhile
	}
	w, err := p.Log.BeginWrite()
	if errors.Is(err, segment.ErrNextWrite) {
		mark.Hit("appends waited for the log to end a segment")
		return // the log ends a segment: Work looks again
	}
	if err != nil {
		mark.Hit("a log that takes no writes refused appends")
		c.RefuseQueued(p, err)
		return
	}
	q.write = w
	now := c.loop.UnixMillis()
	for n := q.waiting.First(); n != nil; n = q.waiting.First() {
		a := n.Value()
		appended, err := w.Add(a.Batches, a.Checked, now)
		if errors.Is(err, segment.ErrNextWrite) {
			mark.Hit("appends were left for the next write")
			break
		}
		n.Remove()
		if err != nil || appended.Duplicate {
			mark.HitIf(appended.Duplicate, "a producer sent a batch again and it was not appended again")
			c.endAppend(p, a, appended, err)
			continue
		}
		a.appended = appended
		q.inFlight.PushBack(n, a)
	}
	if w.Empty() {
		q.write = nil
		_ = p.Log.EndWrite(w) // nothing was done
		return
	}
	if c.syncs.slots.Taken() == 0 && c.inline.takes(p, w, c.loop.Now()) {
		mark.Hit("a write ran on the thread of the loop")
		c.writeInline(p)
		return
	}
	c.writers.hand(p)
}

// EndWrites ends the writes that have run.
func (c *Committer) EndWrites() {
	c.inline.bytes = 0
	for p := c.writers.take(); p != nil; {
		q := &p.queue
		next := q.nextDone
		q.nextDone = nil
		if q.ran(q.took); q.took > stuckWrite {
			c.slowWrite(p, q.took)
		}
		c.endWrite(p)
		p = next
	}
}

// endWrite makes a write's batches part of the log, or not, and tells their owners.
func (c *Committer) endWrite(p *Partition) {
	q := &p.queue
	c.loop.Record(eventWritten, int64(p.Index), int64(q.inFlight.Len()), q.write.Bytes())
	err := p.Log.EndWrite(q.write)
	q.write = nil
	switch {
	case p.removed != nil && err == nil:
		panic(fmt.Sprintf("commit: a write of %s became part of a log that was removed: %v", p, p.removed))
	case p.removed != nil:
		mark.Hit("a topic was deleted while a write to it was in flight")
		err = p.removed
	case err == nil:
		mark.HitIf(q.inFlight.Len() > 1, "several appends shared one write")
		c.wrote(p)
		c.advance(p)
	}
	c.Work(p)
	for a := range q.inFlight.All() {
		a.node.Remove()
		c.endAppend(p, a, a.appended, err)
	}
	p.mustBeConsistent()
	c.scheduleWrite(p)
}

// RefuseQueued ends all appends whose write has not begun.
func (c *Committer) RefuseQueued(p *Partition, err error) {
	for n := p.queue.waiting.First(); n != nil; n = p.queue.waiting.First() {
		a := n.Value()
		n.Remove()
		c.endAppend(p, a, segment.Appended{}, err)
	}
}

func (c *Committer) endAppend(p *Partition, a *Append, appended segment.Appended, err error) {
	if c.pending--; c.pending < 0 || a.Owner == nil || a.node.Linked() {
		panic(fmt.Sprintf("commit: an append to %s ended that was not on its way: %d are, owner %v", p, c.pending, a.Owner))
	}
	owner := a.Owner
	a.Batches, a.Owner = nil, nil
	owner.Appended(p, appended, err)
}
