package commit

import (
	"errors"
	"fmt"
	"time"

	"oneplusn/fanout/loop"
	"oneplusn/ring"
	"oneplusn/segment"
	"oneplusn/segment/mark"
)

// flushState tracks which of a partition's records no sync covers yet, and the sync in flight.
type flushState struct {
	policy   FlushPolicy
	unsynced int64         // records written since the last sync began
	since    time.Duration // when the first of them was
	due      bool          // on syncs.due
	timed    bool          // on syncs.timed

	// The sync in flight: operations on the ring for its files, and a goroutine for the directory.
	plan    *segment.SyncPlan // nil if there is none
	token   ring.Token        // of the slot that names the partition
	left    int               // parts that have not ended
	retries int
	err     error
	began   time.Duration
}

// syncs are the partitions that wait for a sync, and those with one in flight.
type syncs struct {
	due   []*Partition
	timed []*Partition
	next  time.Duration // when the first of timed is due
	slots ring.Slots[*Partition]
}

// maxSyncRetries bounds the retries of a sync that did not run.
const maxSyncRetries = 8

// wrote counts the records of the write that has ended.
func (c *Committer) wrote(p *Partition) {
	f := &p.flush
	if f.unsynced == 0 {
		f.since = c.loop.Now()
	}
	for n := p.queue.inFlight.First(); n != nil; n = n.Next() {
		f.unsynced += int64(n.Value().appended.Records)
	}
	c.scheduleSync(p)
}

// scheduleSync puts a partition with unsynced records on the list that its policy asks for.
func (c *Committer) scheduleSync(p *Partition) {
	f, s := &p.flush, &c.syncs
	switch {
	case f.unsynced < 0:
		panic(fmt.Sprintf("commit: %d records of %s are not synced", f.unsynced, p))
	case f.unsynced == 0 || f.plan != nil || f.due:
	case f.unsynced >= f.policy.Messages:
		f.due = true
		s.due = append(s.due, p)
	case f.policy.Every < loop.Never && !f.timed:
		f.timed = true
		s.timed = append(s.timed, p)
		s.next = min(s.next, f.since+f.policy.Every)
	}
}

// BeginSyncs begins the syncs that are due. It runs once a turn, after all completions, so that the produces of one turn share
// their sync; the operations go out with the next Wait.
func (c *Committer) BeginSyncs() {
	s := &c.syncs
	if c.loop.Now() >= s.next {
		c.collectTimed()
	}
	for i, p := range s.due {
		p.flush.due = false
		s.due[i] = nil
		c.beginSync(p)
	}
	s.due = s.due[:0]
}

// collectTimed moves the partitions whose time has come to those that are due.
func (c *Committer) collectTimed() {
	s := &c.syncs
	s.next = loop.Never
	keep := s.timed[:0]
	for _, p := range s.timed {
		f := &p.flush
		at := f.since + f.policy.Every
		switch {
		case f.unsynced == 0 || f.plan != nil || f.due:
			f.timed = false
		case at <= c.loop.Now():
			f.timed, f.due = false, true
			s.due = append(s.due, p)
		default:
			keep = append(keep, p)
			s.next = min(s.next, at)
		}
	}
	clear(s.timed[len(keep):])
	s.timed = keep
}

func (c *Committer) beginSync(p *Partition) {
	f := &p.flush
	if f.plan != nil {
		panic(fmt.Sprintf("commit: a second sync of %s begins while one is in flight", p))
	}
	f.unsynced = 0
	mark.HitIf(p.waiters.Len() > 1, "several acknowledgements shared one sync")
	plan, ok := p.Log.SyncPlan()
	if !ok {
		c.advance(p)
		return
	}
	f.plan, f.token, f.began = plan, c.syncs.slots.Take(c.kind, p), c.loop.Now()
	f.left, f.retries, f.err = 1, 0, nil // one for this function, so that it does not end before all parts have begun
	c.syncFiles(p)
	if plan.SyncDir != nil {
		f.left++
		syncDir := plan.SyncDir
		var err error
		c.loop.Go(func() { err = syncDir() }, func() { c.partSynced(p, err) })
	}
	c.partSynced(p, nil)
}

// syncFiles queues an fdatasync for every file of the sync in flight.
func (c *Committer) syncFiles(p *Partition) {
	for _, file := range p.flush.plan.Files {
		p.flush.left++
		c.loop.Kernel.Queue(ring.Fdatasync(p.flush.token, file.Fd()))
	}
}

// Complete takes the completion of an fdatasync. It is false for one that is stale, which is a mistake.
func (c *Committer) Complete(completion ring.Completion) bool {
	found := c.syncs.slots.Find(completion.Token)
	if found == nil {
		return false
	}
	p := *found
	switch errno := completion.Err(); {
	case errno == 0:
		c.partSynced(p, nil)
	case ring.Interrupted(errno):
		mark.Hit("an fdatasync was interrupted")
		// Not an answer of the disk: the operation did not run, so the kernel still has any error to report. The file is
		// unknown, and syncing the others again costs nothing. An error of one of them stays in the state.
		if p.flush.retries++; p.flush.retries <= maxSyncRetries {
			c.syncFiles(p)
			c.partSynced(p, nil)
			return true
		}
		c.partSynced(p, fmt.Errorf("fdatasync did not run, %d times in a row: %w", p.flush.retries, errno))
	default:
		mark.Hit("an fdatasync failed")
		c.partSynced(p, fmt.Errorf("fdatasync of a segment of %s: %w", p, errno))
	}
	return true
}

// partSynced ends one part of a sync, and the sync with the last part.
func (c *Committer) partSynced(p *Partition, err error) {
	f := &p.flush
	if f.left < 1 {
		panic(fmt.Sprintf("commit: a part of a sync of %s ended, and none was in flight", p))
	}
	f.err = errors.Join(f.err, err)
	if f.left--; f.left > 0 {
		return
	}
	plan, failed := f.plan, f.err
	c.stats.Syncs++
	c.stats.SyncSeconds += (c.loop.Now() - f.began).Seconds()
	c.syncs.slots.Free(f.token)
	f.plan, f.err = nil, nil
	c.loop.Record(eventSynced, int64(p.Index), plan.Offset, int64(len(plan.Files)))
	switch {
	case p.removed != nil:
		mark.Hit("a topic was deleted while a sync of it was in flight")
		p.Log.Synced(plan) // nothing has become durable, and nothing has failed
	case failed != nil:
		c.syncFailed(p, plan, failed)
	default:
		p.Log.Synced(plan)
		c.advance(p)
		c.scheduleSync(p)
		c.Work(p) // a closed segment is finished after its sync
	}
	p.mustBeConsistent()
}

// syncFailed fails the waiters. A failed sync is never retried.
func (c *Committer) syncFailed(p *Partition, plan *segment.SyncPlan, err error) {
	c.stats.SyncErrors++
	mark.HitIf(p.waiters.Len() > 0, "a sync failed that acknowledgements waited for")
	p.Log.SyncFailed(plan, err)
	c.loop.Log.Error("a partition takes no more writes: an fsync failed", "topic", p.Topic, "partition", p.Index, "error", err,
		"remedy", "repair the disk and restart the server, which checks what reached it; other partitions and all reads go on")
	p.refuseWaiters(err)
	c.Work(p)
}
