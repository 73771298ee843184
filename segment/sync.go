package segment

import (
	"errors"
	"fmt"

	"oneplusn/segment/mark"
)

// SyncPlan is one group commit: [Log.SyncPlan] makes it, the caller syncs every one of Files (fdatasync(2)) and calls SyncDir
// unless it is nil, in any order or in parallel, and then calls [Log.Synced], or [Log.SyncFailed] if any of it failed.
type SyncPlan struct {
	// Files are held until the plan comes back.
	Files []*Segment
	// SyncDir makes the names of new files durable, and a segment that is being finished. It blocks and belongs off the
	// loop. It may be nil.
	SyncDir func() error
	// Offset is the log end offset that the plan makes durable.
	Offset int64

	sizes     []int64  // of Files, at the time of the plan
	finishing *Segment // SyncDir covers it
}

// SyncPlan makes a plan for everything written so far. ok is false if all of it is durable, if a plan is in flight, or if the log
// is poisoned.
func (l *Log) SyncPlan() (plan *SyncPlan, ok bool) {
	if l.planned || l.poisoned != nil || l.closed || l.durable == l.LogEndOffset() && !l.dirUnsynced {
		return nil, false
	}
	p := &l.plan
	p.Files, p.sizes, p.SyncDir, p.Offset = p.Files[:0], p.sizes[:0], nil, l.LogEndOffset()
	for i := len(l.segments) - 1; i >= 0; i-- {
		s := l.segments[i]
		switch {
		case s.synced == s.size:
		case s == l.finishing:
			s.Retain()
			p.finishing = s
		default:
			s.Retain()
			p.Files, p.sizes = append(p.Files, s), append(p.sizes, s.size)
		}
	}
	if l.dirUnsynced {
		p.SyncDir = l.syncNamed
	}
	if p.finishing != nil {
		mark.Hit("a sync joined the one of a segment that was being finished")
		p.SyncDir = l.syncFinishing(p.finishing.file, l.dirUnsynced)
	}
	if l.lacksMark() {
		p.SyncDir = l.syncMark(p.SyncDir)
	}
	l.dirUnsynced = false
	l.planned = true
	return p, true
}

// syncFinishing syncs a segment that is being finished, but not at the same time as that job, so that both see an error.
func (l *Log) syncFinishing(file File, dir bool) func() error {
	return func() error {
		return l.worker.alone(func() error {
			if err := l.worker.sync(file); err != nil || !dir {
				return err
			}
			return l.syncNamed()
		})
	}
}

// syncNamed is syncDir for a plan; it does nothing if the log was deleted meanwhile.
func (l *Log) syncNamed() error { return l.worker.named(l.syncDir) }

// syncDir reads nothing that the log's thread changes.
func (l *Log) syncDir() error {
	if err := l.worker.fs.SyncDir(l.dir); err != nil {
		return fmt.Errorf("segment: syncing the directory %s: %w", l.dir, err)
	}
	return nil
}

// Synced ends a plan that was done as a whole. It moves the durable offset and, with [Options.ManualCommit], the high watermark.
func (l *Log) Synced(p *SyncPlan) {
	l.checkPlan(p)
	if l.closed || l.poisoned != nil { // finishing a segment failed meanwhile: nothing new counts as durable
		mark.HitIf(!l.closed, "a sync ended after another of its log had failed")
		l.endPlan(p)
		return
	}
	l.durable = max(l.durable, p.Offset)
	for i, s := range p.Files {
		l.covered(s, p.sizes[i])
	}
	if s := p.finishing; s != nil {
		l.covered(s, s.size)
	}
	if l.options.ManualCommit {
		l.raiseHighWatermark(p.Offset)
	}
	l.endPlan(p)
	if l.awaitsSync {
		l.awaitsSync = false
		l.showWritten()
	}
}

// covered makes a segment durable up to a size.
func (l *Log) covered(s *Segment, size int64) {
	s.synced = max(s.synced, size)
	if l.options.ManualCommit {
		s.visible = max(s.visible, s.synced)
	}
	s.checkSizes()
}

// noteDurable moves the durable offset over the segments that are wholly durable.
func (l *Log) noteDurable() {
	for _, s := range l.segments {
		if s.synced < s.size {
			return
		}
		l.durable = max(l.durable, s.next)
	}
}

// showWritten makes everything that was written readable, unless it awaits a sync in flight or that sync failed.
func (l *Log) showWritten() {
	if l.awaitsSync {
		return
	}
	for _, s := range l.segments {
		s.visible = s.size
	}
	l.raiseHighWatermark(l.LogEndOffset())
}

// raiseHighWatermark alone moves it. It never passes the records of a failed sync: their pages may be lost, and their producers
// got an error.
func (l *Log) raiseHighWatermark(to int64) {
	if to <= l.highWatermark {
		return
	}
	if l.poisoned != nil {
		panic(fmt.Sprintf("segment: %s: the high watermark moves from %d to %d after a failed sync", l.dir, l.highWatermark, to))
	}
	l.highWatermark = to
	l.lastRead = lastRead{}
	l.checkOffsets()
}

// SyncFailed ends a plan of which a part failed. The kernel reports the error once and may have dropped the pages, so there is no
// retry: the log takes no more writes. Reads below the high watermark still work.
func (l *Log) SyncFailed(p *SyncPlan, err error) {
	l.checkPlan(p)
	if err == nil {
		err = errors.New("no reason was given")
	}
	if !l.closed {
		l.poison(err)
	}
	l.endPlan(p)
}

// checkPlan catches a plan that ends twice: the second end would cover what was never synced.
func (l *Log) checkPlan(p *SyncPlan) {
	if p != &l.plan || !l.planned {
		panic("segment: a sync plan ends that is not in flight: " + l.dir)
	}
}

func (l *Log) endPlan(p *SyncPlan) {
	for i, s := range p.Files {
		s.Release()
		p.Files[i] = nil
	}
	p.Files = p.Files[:0]
	if p.finishing != nil {
		p.finishing.Release()
		p.finishing = nil
	}
	l.planned = false
}

// DurableOffset is the offset below which every record is durable, whatever the commit policy.
func (l *Log) DurableOffset() int64 { return l.durable }

// Poisoned is the error of writes after a failed sync, or nil.
func (l *Log) Poisoned() error { return l.poisoned }
