package segment

import (
	"errors"
	"fmt"
)

// SyncPlan is what one group commit has to cover: [Log.SyncPlan] makes it, the caller syncs every one of Files
// (fdatasync(2)) and calls SyncDir if it is not nil, in any order and at the same time, and then hands it to
// [Log.Synced], or to [Log.SyncFailed] if any of it failed.
type SyncPlan struct {
	// Files are held until the plan is handed back.
	Files []*Segment
	// SyncDir makes the names of new files durable, and a segment that is being finished. It blocks and belongs off the
	// loop; nil if there is nothing to do.
	SyncDir func() error
	// Offset is the one behind the last record that is durable when all is done.
	Offset int64

	sizes     []int64  // of the files, at the time of the plan
	finishing *Segment // is covered too, by SyncDir
}

// SyncPlan is the plan for everything written so far. ok is false if all of it is durable, if the last plan is still
// under way, or if the log is poisoned.
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
		p.SyncDir = l.syncFinishing(p.finishing.file, l.dirUnsynced)
	}
	if l.lacksMark() {
		p.SyncDir = l.syncMark(p.SyncDir)
	}
	l.dirUnsynced = false
	l.planned = true
	return p, true
}

// syncFinishing syncs a segment that is being finished when that does not, so that both learn of an error.
func (l *Log) syncFinishing(file File, dir bool) func() error {
	w := l.worker
	return func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.gone.Load() {
			return nil
		}
		if err := w.sync(file); err != nil || !dir {
			return err
		}
		return l.syncNamed()
	}
}

// syncNamed is syncDir for a plan: of a log that was deleted meanwhile there is nothing to sync.
func (l *Log) syncNamed() error { return l.worker.named(l.syncDir) }

// syncDir touches nothing that the log's thread changes.
func (l *Log) syncDir() error {
	if err := l.worker.fs.SyncDir(l.dir); err != nil {
		return fmt.Errorf("segment: syncing the directory %s: %w", l.dir, err)
	}
	return nil
}

// Synced says that all of the plan was done. The durable offset moves, and with it the high watermark if
// [Options.ManualCommit] is set.
func (l *Log) Synced(p *SyncPlan) {
	l.checkPlan(p)
	if l.closed || l.poisoned != nil { // by the sync of another file, meanwhile: what is below the high watermark is all that is safe
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

// covered notes how much of a segment is durable.
func (l *Log) covered(s *Segment, size int64) {
	s.synced = max(s.synced, size)
	if l.options.ManualCommit {
		s.visible = max(s.visible, s.synced)
	}
	s.checkSizes()
}

// noteDurable moves the durable offset over the segments that are durable as a whole.
func (l *Log) noteDurable() {
	for _, s := range l.segments {
		if s.synced < s.size {
			return
		}
		l.durable = max(l.durable, s.next)
	}
}

// showWritten lets everything that was written be read, unless it has to wait for a sync that is under way or failed.
func (l *Log) showWritten() {
	if l.awaitsSync {
		return
	}
	for _, s := range l.segments {
		s.visible = s.size
	}
	l.raiseHighWatermark(l.LogEndOffset())
}

// raiseHighWatermark is the only way for it to move. It never passes what a failed sync was about: those pages may be
// lost, and their producers were told so.
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

// SyncFailed says that a part of the plan failed. The kernel reports that only once and may have dropped the pages, so
// it is never tried again: the log takes no more writes. What is below the high watermark can still be read.
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

// checkPlan finds out who hands back a plan twice: the second time it would cover what it never synced.
func (l *Log) checkPlan(p *SyncPlan) {
	if p != &l.plan || !l.planned {
		panic("segment: a plan was handed back that is not under way: " + l.dir)
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

// DurableOffset is the offset below which every record is on the disk, whatever the commit policy.
func (l *Log) DurableOffset() int64 { return l.durable }

// Poisoned is why the log takes no more writes, or nil.
func (l *Log) Poisoned() error { return l.poisoned }
