package segment

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
)

// syncedAcksFile marks the directory of a log that acknowledges only what was synced ([Options.ManualCommit]). By it a
// start knows that batches behind a hole may have been promised to be durable, however far the recovery point lags.
//
// It is durable before the first such acknowledgement. Under another policy it goes when the recovery point on the disk
// covers all that was acknowledged under this one.
const syncedAcksFile = "acks-after-fsync"

const syncedAcksText = "Acknowledgements of this partition wait for fsync, so after a crash no damage is cut that has batches behind it.\n"

// syncedAcks is what the log's thread and its work know of the mark.
type syncedAcks struct {
	state atomic.Int32 // markAbsent, markPresent or markGoing
	// until is the offset that the recovery point has to reach for the mark to go. The log's thread's.
	until int64
}

// The states of the mark. To go from present to going is for the log's thread to decide, and only while no plan is under
// way; the others are left under worker.mu. So a mark that is wanted again while it goes is made again, by the next plan.
const (
	markAbsent int32 = iota
	markPresent
	markGoing
)

// openSyncedAcks makes the mark if the log's policy needs it. It blocks.
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
		return fmt.Errorf("segment: noting that acknowledgements wait for syncs: %w", err)
	}
	return nil
}

// lacksMark says that the next plan has to leave the mark before anything that it covers is acknowledged.
func (l *Log) lacksMark() bool {
	return l.options.ManualCommit && l.worker.acks.state.Load() != markPresent
}

// syncMark is the part of a plan that leaves the mark; rest, which may be nil, is that part without it.
func (l *Log) syncMark(rest func() error) func() error {
	fsys, dir, w := l.options.FS, l.dir, l.worker
	return func() error {
		if rest != nil {
			if err := rest(); err != nil {
				return err
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.gone.Load() {
			return nil
		}
		if err := markSyncedAcks(fsys, dir); err != nil {
			return err
		}
		if err := l.syncDir(); err != nil {
			return err
		}
		w.acks.state.Store(markPresent)
		return nil
	}
}

// relax notes up to where records were acknowledged under the policy that ends.
func (l *Log) relax() { l.worker.acks.until = l.highWatermark }

// Checkpointed says that the recovery point on the disk is at least offset, a [Log.DurableOffset] of before.
func (l *Log) Checkpointed(offset int64) {
	if offset > l.durable && !l.closed {
		panic(fmt.Sprintf("segment: %s: the recovery point on the disk is %d, and only offsets below %d are durable", l.dir, offset, l.durable))
	}
	l.checkpointed = max(l.checkpointed, offset)
}

// wantsMarkGone says that nothing is left that the mark protects.
func (l *Log) wantsMarkGone() bool {
	m := &l.worker.acks
	return !l.options.ManualCommit && !l.planned && m.state.Load() == markPresent && l.checkpointed >= m.until
}

// unmarkWork removes the mark off the log's thread.
func (l *Log) unmarkWork() func() func() {
	l.working = true
	fsys, dir, w := l.options.FS, l.dir, l.worker
	w.acks.state.Store(markGoing)
	return func() func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		var err error
		if !w.gone.Load() && w.acks.state.Load() == markGoing {
			// Not durable, and need not be: a mark that comes back makes a start more careful.
			if err = fsys.RemoveAll(filepath.Join(dir, syncedAcksFile)); err == nil {
				w.acks.state.Store(markAbsent)
			}
		}
		return func() {
			l.endWork()
			if err != nil {
				w.acks.state.CompareAndSwap(markGoing, markPresent)
				l.failWork("removing "+syncedAcksFile, err)
			}
		}
	}
}
