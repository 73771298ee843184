package segment

import (
	"fmt"
	"path/filepath"
	"sync/atomic"

	"oneplusn/segment/mark"
)

// syncedAcksFile marks the directory of a log that acknowledges only synced records ([Options.ManualCommit]). It tells a start that
// batches behind a hole may have been promised to be durable, however far the recovery point lags.
//
// It is durable before the first such acknowledgement. After a change of policy it goes once the recovery point on the disk covers
// everything acknowledged under this one.
const syncedAcksFile = "acks-after-fsync"

const syncedAcksText = "Acknowledgements of this partition wait for fsync, so after a crash no damage is cut that has batches behind it.\n"

// syncedAcks is the state of the mark, shared by the log's thread and its background jobs.
type syncedAcks struct {
	state atomic.Int32 // markAbsent, markPresent or markGoing
	// until is the recovery point at which the mark may go. Only the log's thread uses it.
	until int64
}

// The states of the mark. Only the log's thread moves it from present to going, and only while no plan is in flight; all other
// moves happen under worker.mu. So if the mark is needed again while it goes, the next plan makes it again.
const (
	markAbsent int32 = iota
	markPresent
	markGoing
)

// openSyncedAcks leaves the mark if the log's policy needs it. It blocks.
func (l *Log) openSyncedAcks(present bool) error {
	m := &l.worker.acks
	if l.options.ManualCommit && !present {
		if err := markSyncedAcks(l.options.FS, l.dir); err != nil {
			return err
		}
		l.dirUnsynced, present = true, true
	}
	if present {
		m.state.Store(markPresent)
		m.until = l.LogEndOffset()
	}
	return nil
}

func markSyncedAcks(fsys FS, dir string) error {
	if err := writeFile(fsys, filepath.Join(dir, syncedAcksFile), []byte(syncedAcksText)); err != nil {
		return fmt.Errorf("segment: marking that acknowledgements wait for syncs: %w", err)
	}
	return nil
}

// lacksMark reports whether the next plan has to leave the mark, before anything that it covers is acknowledged.
func (l *Log) lacksMark() bool {
	mark.HitIf(l.options.ManualCommit && l.worker.acks.state.Load() == markGoing, "the mark of synced acknowledgements was wanted again while it went")
	return l.options.ManualCommit && l.worker.acks.state.Load() != markPresent
}

// syncMark is a plan's SyncDir that leaves the mark after rest, its SyncDir so far, which may be nil.
func (l *Log) syncMark(rest func() error) func() error {
	w := l.worker
	return func() error {
		if rest != nil {
			if err := rest(); err != nil {
				return err
			}
		}
		return w.alone(func() error {
			err := markSyncedAcks(w.fs, l.dir)
			if err == nil {
				err = l.syncDir()
			}
			if err == nil {
				w.acks.state.Store(markPresent)
			}
			return err
		})
	}
}

// Checkpointed: the recovery point on the disk is at least offset, an earlier [Log.DurableOffset].
func (l *Log) Checkpointed(offset int64) {
	if offset > l.durable && !l.closed {
		panic(fmt.Sprintf("segment: %s: the recovery point on the disk is %d, but only offsets below %d are durable", l.dir, offset, l.durable))
	}
	l.checkpointed = max(l.checkpointed, offset)
}

// wantsMarkGone reports whether the mark protects nothing any more.
func (l *Log) wantsMarkGone() bool {
	m := &l.worker.acks
	return !l.options.ManualCommit && !l.planned && m.state.Load() == markPresent && l.checkpointed >= m.until
}

func (l *Log) unmarkWork() func() func() {
	state := &l.worker.acks.state
	mark.Hit("the mark of synced acknowledgements went after a change of policy")
	state.Store(markGoing)
	return background(l, func() (err error) {
		if state.Load() != markGoing {
			return nil
		}
		// The removal need not be durable: a mark that comes back only makes a start more careful.
		if err = l.worker.fs.RemoveAll(filepath.Join(l.dir, syncedAcksFile)); err == nil {
			state.Store(markAbsent)
		}
		return err
	}, func(err error) {
		if err != nil {
			state.CompareAndSwap(markGoing, markPresent)
			l.failWork("removing "+syncedAcksFile, err)
		}
	})
}
