package fanout

import (
	"errors"
	"fmt"
	"math"
	"time"

	"oneplusn/fanout/wire"
	"oneplusn/ring"
	"oneplusn/segment"
)

// commit is what a partition knows of the way of its records to the disk.
//
//	append --> unsynced --due--> sync in flight --> Synced: the high watermark moves, acks go out, fetches wake
//	                ^                  |      \---> SyncFailed: no more writes, acks are refused
//	                |                  |
//	                +--- appends of the meantime gather for the next one
//
// One sync of a partition is in flight at a time, so that one fdatasync covers every produce that came while the one
// before it ran: the slower the disk, the more each sync carries.
type commit struct {
	policy   flushPolicy
	unsynced int64         // records written since the last sync began
	since    time.Duration // when the first of them was
	due      bool          // on Broker.syncsDue
	timed    bool          // on Broker.syncsTimed
	syncing  bool
	// acks are the produces that wait for the high watermark, in the order of their offsets.
	acks waitList
}

// syncJob is a sync in flight: operations on the ring for its files, and a goroutine for the directory.
type syncJob struct {
	partition  *partition
	plan       *segment.SyncPlan
	generation uint32
	left       int
	retries    int
	err        error
	began      time.Duration
}

// syncs are the partitions that wait for a sync, and the slots of the syncs in flight. There are at most as many as
// partitions.
type syncs struct {
	due   []*partition
	timed []*partition
	// next is when the first of timed is due.
	next time.Duration
	jobs []syncJob
	free []uint32
}

const noTime = time.Duration(math.MaxInt64)

// wrote notes records that were appended.
func (b *Broker) wrote(p *partition, records int) {
	if p.unsynced == 0 {
		p.since = b.loop.Now()
	}
	p.unsynced += int64(records)
	b.plan(p)
}

// plan puts a partition with unsynced records on the list that its policy asks for.
func (b *Broker) plan(p *partition) {
	switch {
	case p.unsynced == 0 || p.syncing || p.due:
	case p.unsynced >= p.policy.messages:
		p.due = true
		b.syncs.due = append(b.syncs.due, p)
	case p.policy.every < noFlushEvery && !p.timed:
		p.timed = true
		b.syncs.timed = append(b.syncs.timed, p)
		b.syncs.next = min(b.syncs.next, p.since+p.policy.every)
	}
}

// beginSyncs begins what is due. It runs once a turn, after all completions, so that the produces of one turn share
// their sync; the operations go out with the next Wait.
func (b *Broker) beginSyncs() {
	if b.loop.Now() >= b.syncs.next {
		b.collectTimed()
	}
	for i, p := range b.syncs.due {
		p.due = false
		b.syncs.due[i] = nil
		b.beginSync(p)
	}
	b.syncs.due = b.syncs.due[:0]
}

// collectTimed moves the partitions whose time has come to those that are due.
func (b *Broker) collectTimed() {
	b.syncs.next = noTime
	keep := b.syncs.timed[:0]
	for _, p := range b.syncs.timed {
		at := p.since + p.policy.every
		switch {
		case p.unsynced == 0 || p.syncing || p.due:
			p.timed = false
		case at <= b.loop.Now():
			p.timed, p.due = false, true
			b.syncs.due = append(b.syncs.due, p)
		default:
			keep = append(keep, p)
			b.syncs.next = min(b.syncs.next, at)
		}
	}
	clear(b.syncs.timed[len(keep):])
	b.syncs.timed = keep
}

func (b *Broker) beginSync(p *partition) {
	plan, ok := p.log.SyncPlan()
	p.unsynced = 0
	if !ok {
		b.releaseAcks(p)
		return
	}
	p.syncing = true
	slot := b.syncs.take()
	job := &b.syncs.jobs[slot]
	job.partition, job.plan, job.err, job.began = p, plan, nil, b.loop.Now()
	job.left = 1
	b.syncFiles(slot)
	if plan.SyncDir != nil {
		job.left++
		syncDir := plan.SyncDir
		var err error
		b.loop.Go(func() { err = syncDir() }, func() { b.synced(slot, err) })
	}
	b.synced(slot, nil)
}

// syncFiles queues an fdatasync for every file of a sync.
func (b *Broker) syncFiles(slot uint32) {
	job := &b.syncs.jobs[slot]
	for _, file := range job.plan.Files {
		job.left++
		b.loop.Kernel.Queue(ring.Fdatasync(ring.NewToken(kindSync, slot, job.generation), file.Fd()))
	}
}

// maxSyncRetries bounds how often a sync is asked for again that did not run.
const maxSyncRetries = 8

// inFlight says that a sync of any partition is under way.
func (s *syncs) inFlight() bool { return len(s.free) < len(s.jobs) }

func (s *syncs) take() uint32 {
	if n := len(s.free); n > 0 {
		slot := s.free[n-1]
		s.free = s.free[:n-1]
		return slot
	}
	s.jobs = append(s.jobs, syncJob{})
	return uint32(len(s.jobs) - 1)
}

// onSync takes the completion of an fdatasync.
func (b *Broker) onSync(completion ring.Completion) {
	slot := completion.Token.Slot()
	if int(slot) >= len(b.syncs.jobs) || b.syncs.jobs[slot].generation != completion.Token.Generation() {
		b.counters.stale++
		return
	}
	job := &b.syncs.jobs[slot]
	switch errno := completion.Err(); errno {
	case 0:
		b.synced(slot, nil)
	case eintr, eagain, ecanceled:
		// Not an answer of the disk: the operation did not run, so the kernel has not forgotten anything. Which file it
		// was is not known, and to sync the others again costs nothing. An error of one of them stays in the job.
		if job.retries++; job.retries <= maxSyncRetries {
			b.syncFiles(slot)
			b.synced(slot, nil)
			return
		}
		b.synced(slot, fmt.Errorf("fdatasync did not run, %d times in a row: %w", job.retries, errno))
	default:
		b.synced(slot, fmt.Errorf("fdatasync of a segment of %s-%d: %w", job.partition.topic.name, job.partition.index, errno))
	}
}

// synced notes that one part of a sync has ended, and ends the sync with the last.
func (b *Broker) synced(slot uint32, err error) {
	job := &b.syncs.jobs[slot]
	job.err = errors.Join(job.err, err)
	if job.left--; job.left > 0 {
		return
	}
	p, plan, failed := job.partition, job.plan, job.err
	b.counters.syncs++
	b.counters.syncNanos += uint64(b.loop.Now() - job.began)
	*job = syncJob{generation: (job.generation + 1) & ring.MaxGeneration}
	b.syncs.free = append(b.syncs.free, slot)
	p.syncing = false
	if !b.topics.serves(p) {
		p.log.Synced(plan) // it was deleted meanwhile: nothing has become durable, and nothing has failed
		return
	}
	if failed != nil {
		b.syncFailed(p, plan, failed)
		return
	}
	p.log.Synced(plan)
	b.commitMoved(p)
	b.plan(p)
	b.logWork(p) // what was closed is finished after it was synced
}

// syncFailed refuses what waited. It is never tried again: the kernel reports a failed write-back once and may have
// dropped the pages, so a second fsync would succeed over a hole (fsync(2), "ERRORS").
func (b *Broker) syncFailed(p *partition, plan *segment.SyncPlan, err error) {
	b.counters.syncErrors++
	p.log.SyncFailed(plan, err)
	b.loop.Log.Error("a partition takes no more writes: an fsync failed", "topic", p.topic.name, "partition", p.index, "error", err,
		"remedy", "mend the disk and restart the server, which checks what reached it; other partitions and all reads go on")
	b.refuseAcks(p, wire.CodeKafkaStorageError, err.Error())
	b.logWork(p)
}

// commitMoved answers who waited for the high watermark.
func (b *Broker) commitMoved(p *partition) {
	b.releaseAcks(p)
	b.markGrown(p)
}

// commitChanged follows a change of the partition's configuration.
func (b *Broker) commitChanged(p *partition) {
	p.policy = p.topic.config.flush
	b.commitMoved(p)
	b.plan(p)
}
