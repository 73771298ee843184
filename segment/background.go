package segment

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"oneplusn/segment/mark"
)

// worker is the state that background jobs share with the log's thread: locks, so that Close and background jobs never touch
// the same files at the same time.
type worker struct {
	fs FS // a copy: the log's thread replaces its options as a whole
	mu sync.Mutex
	// writing is held by the log's write, which does not wait for other work. Lock order: mu, writing.
	writing sync.Mutex
	// gone: the log is closed or deleted, and nothing may be written any more. Another log may already use the directory's
	// name.
	gone atomic.Bool
	acks syncedAcks
	// naming is read-locked by jobs that use the directory by name in parallel with others: see named.
	naming sync.RWMutex
	// syncErr is the error of a failed sync of a closed segment. Under mu.
	syncErr error
}

// stop waits for jobs in flight, prevents new ones, and returns with mu held. It may be called again.
func (w *worker) stop() {
	w.gone.Store(true)
	w.mu.Lock()
	for _, lock := range []sync.Locker{&w.writing, &w.naming} {
		lock.Lock()
		lock.Unlock() //nolint:staticcheck // the next owner finds gone
	}
}

// named runs f, which uses the log's directory by name, in parallel with other jobs. If the log is gone it does nothing:
// the name may be another log's.
func (w *worker) named(f func() error) error {
	w.naming.RLock()
	defer w.naming.RUnlock()
	if w.gone.Load() {
		return nil
	}
	return f()
}

// alone runs f under mu, in parallel with no other background job. If the log is gone it does nothing.
func (w *worker) alone(f func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone.Load() {
		mark.Hit("a log went before its background job ran")
		return nil
	}
	return f()
}

// sync syncs a closed segment. The kernel reports an error to only one sync of a descriptor, so sync keeps it for later
// callers.
func (w *worker) sync(f File) error {
	if w.syncErr == nil {
		w.syncErr = f.Sync()
	}
	return w.syncErr
}

// Work is the next file work to do off the log's thread, or nil: preparing the file of the next segment, finishing a closed
// one (sync, indexes, producer snapshot), marking a failed sync. Asking is cheap; callers ask after an append, after
// [Log.Synced] or [Log.SyncFailed], and after done. work may block and touches nothing that the log's thread changes; done,
// which it returns, runs on the log's thread. One job is in flight at a time.
func (l *Log) Work() (work func() (done func())) {
	if l.poisoned != nil && !l.marked && !l.working && !l.closed {
		return l.markWork()
	}
	if l.working || l.workFailed || l.closed || l.poisoned != nil {
		return nil
	}
	if l.rollDue && l.active().size > 0 && !l.writing.inFlight {
		return l.rollWork()
	}
	if l.wantsPrepared() {
		return l.prepareWork()
	}
	for _, s := range l.segments[:len(l.segments)-1] {
		if !s.finished() && !l.awaitsPlan(s) {
			return l.finishWork(s)
		}
	}
	if l.wantsMarkGone() {
		return l.unmarkWork()
	}
	return nil
}

// background makes the job in flight: run runs alone off the log's thread, unless the log is gone, and then done on it, with run's
// error.
func background(l *Log, run func() error, done func(error)) (work func() func()) {
	l.working = true
	return func() func() {
		err := l.worker.alone(run)
		return func() {
			if !l.working {
				panic("segment: a background job ends that is not in flight: " + l.dir)
			}
			l.working = false
			done(err)
		}
	}
}

// awaitsPlan reports whether a plan has to sync a closed segment before it is finished: one in flight, which may cover it,
// or the one that acknowledgements wait for, which must not wait for index files too.
func (l *Log) awaitsPlan(s *Segment) bool {
	mark.HitIf(s.synced < s.size && l.planned, "a closed segment waited for a sync in flight to be finished")
	return s.synced < s.size && (l.planned || l.options.ManualCommit)
}

// prepareWork makes the file of the next segment. Creating a file may read the disk; renaming it later does not.
func (l *Log) prepareWork() func() func() {
	var file File
	return background(l, func() (err error) {
		file, err = l.worker.fs.Open(preparedPath(l.dir), Create)
		return err
	}, func(err error) {
		switch {
		case err != nil:
			l.failWork("preparing the next segment", err)
		case file == nil: // the log is gone
		case l.closed || l.prepared != nil:
			l.options.Closer.closeFile(file)
		default:
			l.prepared = file
		}
	})
}

// finishWork syncs a closed segment and writes its indexes, so that the next start need not scan it.
func (l *Log) finishWork(s *Segment) func() func() {
	if s == l.active() {
		panic("segment: the active segment is finished while it is written to: " + s.path)
	}
	if l.planned && slices.Contains(l.plan.Files, s) {
		panic("segment: a segment is finished while a plan syncs it, and only one of them would see an error: " + s.path)
	}
	l.finishing = s
	s.Retain()
	job, r := finishJob{*s, l.worker, l.dir}, finishResult{}
	return background(l, func() error {
		r = job.run()
		return nil
	}, func(error) {
		l.finishing = nil
		l.finish(s, r)
		s.Release()
	})
}

// finishJob is everything that finishing a segment needs: a copy of it, because the log's thread goes on to change the original.
type finishJob struct {
	Segment
	worker *worker
	dir    string
}

type finishResult struct {
	index    File // the .index file, open
	summary  []indexEntry
	restored bool  // the segment's file had been removed
	syncErr  error // the data may not have reached the disk
	err      error // something else failed, and may be retried
}

func (j finishJob) run() (r finishResult) {
	if r.restored, r.err = j.restore(); r.err != nil {
		return r
	}
	if err := j.worker.sync(j.file); err != nil {
		r.syncErr = errors.Join(fmt.Errorf("syncing %s: %w", j.path, err), markFailedSync(j.fs, j.dir))
		return r
	}
	if j.snapshot != nil {
		if r.err = putFile(j.fs, filePath(j.dir, j.next, snapshotSuffix), j.snapshot); r.err != nil {
			return r
		}
	}
	if r.err = writeIndexFiles(j.fs, j.path, &j.index); r.err != nil {
		return r
	}
	if r.err = j.fs.SyncDir(j.dir); r.err != nil {
		return r
	}
	r.summary = summarize(j.index.entries)
	r.index, r.err = j.fs.Open(beside(j.path, indexSuffix), ReadOnly)
	return r
}

// restore writes the segment's file again if it was removed: the acknowledged records exist only behind the open
// descriptor.
func (j finishJob) restore() (restored bool, err error) {
	named, err := j.fs.IsNamed(j.file, j.path)
	if err != nil || named {
		return false, err
	}
	err = copyRange(j.fs, j.path+temporarySuffix, j.file, 0, j.size)
	if err == nil {
		err = j.fs.Rename(j.path+temporarySuffix, j.path)
	}
	if err != nil {
		return false, fmt.Errorf("restoring %s: %w", j.path, err)
	}
	return true, nil
}

// finish applies the result of a finishJob.
func (l *Log) finish(s *Segment, r finishResult) {
	if r.restored {
		l.noteRestored(s)
	}
	switch {
	case r.syncErr != nil:
		mark.Hit("the sync of a closed segment failed")
		l.marked = true
		l.poison(r.syncErr)
	case r.err != nil:
		l.failWork("finishing a segment", r.err)
	case r.index == nil: // the log is gone
	case s.finished():
		l.options.Closer.closeFile(r.index)
	default:
		s.synced = max(s.synced, s.size)
		s.snapshot = nil
		s.index.toFile(r.index, r.summary, len(s.index.entries))
		l.lastRead = lastRead{}
		s.counted()
		l.makeEvictable(s)
		l.noteDurable()
	}
}

// failWork postpones work until the next roll or [Log.Expire]; until then its content stays in memory.
func (l *Log) failWork(what string, err error) {
	mark.Hit("a background job of a log failed and was put off")
	l.workFailed = true
	if !l.closed {
		l.options.Logger.Warn(what+" failed and will be tried again", "directory", l.dir, "error", err)
	}
}

// restoreFinished is restore for a finished segment. If its indexes are gone too, the next start rebuilds them.
func (l *Log) restoreFinished(s *Segment) error {
	job := finishJob{*s, l.worker, l.dir}
	if r, ok := s.file.(*evictableFile); ok {
		file := r.file.Load()
		if file == nil {
			return nil // evicted: there is no descriptor to copy from
		}
		job.file = *file
	}
	restored, err := job.restore()
	if err == nil && restored {
		l.noteRestored(s)
		err = l.syncDir()
	}
	return err
}

func (l *Log) noteRestored(s *Segment) {
	l.options.Logger.Error("the file of a segment was missing and was written again from the open descriptor", "file", s.path)
}

// finishAll finishes every segment, the active one too, for Close.
func (l *Log) finishAll() error {
	var errs []error
	for _, s := range l.segments {
		if s.finished() {
			errs = append(errs, l.restoreFinished(s))
			continue
		}
		s.index.seal()
		if s.size == 0 && len(l.producers.byID) == 0 {
			continue // an empty segment needs no index, and there is nothing to remember
		}
		if s == l.active() {
			s.snapshot = l.producers.encode()
		}
		r := finishJob{*s, l.worker, l.dir}.run()
		l.finish(s, r)
		errs = append(errs, r.syncErr, r.err)
	}
	l.noteDurable()
	return errors.Join(errs...)
}
