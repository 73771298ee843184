package segment

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// worker keeps Close and the work that was handed out from touching the same files at the same time.
type worker struct {
	fs FS // that of the options, which the log's thread changes as a whole
	mu sync.Mutex
	// writing is held by the log's write, which does not wait for other work. Who takes both takes mu first.
	writing sync.Mutex
	// gone says that the log is closed or deleted: nothing is to be written any more. A deleted log's directory may
	// already be that of another.
	gone atomic.Bool
	acks syncedAcks
	// naming is held for reading by what uses the directory by name beside other work: see named.
	naming sync.RWMutex
	// syncErr is why a sync of a closed segment failed. Under mu.
	syncErr error
}

// stop waits for what is under way, and lets nothing begin any more. mu is held after it. It may be called again.
func (w *worker) stop() {
	w.gone.Store(true)
	w.mu.Lock()
	for _, lock := range []sync.Locker{&w.writing, &w.naming} {
		lock.Lock()
		lock.Unlock() //nolint:staticcheck // whoever takes it from here on finds gone
	}
}

// named runs f, which uses the log's directory by name, and may do so beside other work. Of a log that is gone it does
// nothing: the name may be another's.
func (w *worker) named(f func() error) error {
	w.naming.RLock()
	defer w.naming.RUnlock()
	if w.gone.Load() {
		return nil
	}
	return f()
}

// sync syncs a closed segment. The kernel tells an error to one sync of a descriptor only, so it is kept for whoever asks
// next.
func (w *worker) sync(f File) error {
	if w.syncErr == nil {
		w.syncErr = f.Sync()
	}
	return w.syncErr
}

// Work is file work that the log wants done off its thread: the file of the next segment, what a closed segment leaves
// behind (its data synced, its indexes, a snapshot of the producers), and the mark of a failed sync. It is nil if there
// is none, which costs nothing to ask; the time to ask is after an append, after [Log.Synced] or [Log.SyncFailed], and
// after done. work may block and touches nothing that the log's thread changes; done, which it returns, runs on the log's
// thread. One is handed out at a time.
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

// endWork ends the one piece of work that was handed out.
func (l *Log) endWork() {
	if !l.working {
		panic("segment: work has ended that was not under way: " + l.dir)
	}
	l.working = false
}

// awaitsPlan says that a closed segment is synced by a plan before it is finished: one that is under way and may cover
// it, or the one that acknowledgements wait for, which has no time for the rest of finishing.
func (l *Log) awaitsPlan(s *Segment) bool {
	return s.synced < s.size && (l.planned || l.options.ManualCommit)
}

// prepareWork makes the file of the next segment. Making a file may read the disk; to give it its name does not.
func (l *Log) prepareWork() func() func() {
	l.working = true
	fsys, path, w := l.options.FS, preparedPath(l.dir), l.worker
	return func() func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.gone.Load() {
			return func() {}
		}
		file, err := fsys.Open(path, Create)
		return func() {
			l.endWork()
			switch {
			case err != nil:
				l.failWork("preparing the next segment", err)
			case l.closed || l.prepared != nil:
				l.options.Closer.closeFile(file)
			default:
				l.prepared = file
			}
		}
	}
}

// finishWork does for a closed segment what makes opening the log again cheap.
func (l *Log) finishWork(s *Segment) func() func() {
	if s == l.active() {
		panic("segment: the active segment is finished while it is written to: " + s.path)
	}
	l.working, l.finishing = true, s
	s.Retain()
	job := l.finishJob(s)
	w := l.worker
	return func() func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		var result finishResult
		if !w.gone.Load() {
			result = job.run()
		}
		return func() {
			l.endWork()
			l.finishing = nil
			l.finish(s, result)
			s.Release()
		}
	}
}

// finishJob is all that finishing a segment needs to know. Nobody changes it any more.
type finishJob struct {
	worker   *worker
	fs       FS
	dir      string
	path     string
	file     File
	size     int64
	next     int64
	entries  []indexEntry
	times    []timeEntry
	snapshot []byte
}

func (l *Log) finishJob(s *Segment) finishJob {
	return finishJob{l.worker, l.options.FS, l.dir, s.path, s.file, s.size, s.next, s.index.entries, s.index.times, s.snapshot}
}

type finishResult struct {
	index    File // the .index file, open
	summary  []indexEntry
	restored bool  // the segment's file had been removed under the log
	syncErr  error // the data may not have reached the disk
	err      error // something else failed, and may be tried again
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
	if r.err = writeIndexFiles(j.fs, j.path, j.entries, j.times); r.err != nil {
		return r
	}
	if r.err = j.fs.SyncDir(j.dir); r.err != nil {
		return r
	}
	r.summary = summarize(j.entries)
	r.index, r.err = j.fs.Open(beside(j.path, indexSuffix), ReadOnly)
	return r
}

// restore writes the segment's file again if it was removed under the log: what was acknowledged is still behind the
// open descriptor, and nowhere else.
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

// finish takes over what a finishJob did.
func (l *Log) finish(s *Segment, r finishResult) {
	if r.restored {
		l.noteRestored(s)
	}
	switch {
	case r.syncErr != nil:
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

// failWork waits with more work for the next roll or [Log.Expire]: until then all is in memory.
func (l *Log) failWork(what string, err error) {
	l.workFailed = true
	if !l.closed {
		l.options.Logger.Warn(what+" failed and will be tried again", "directory", l.dir, "error", err)
	}
}

// restoreFinished is restore for a segment that was closed long ago. If its indexes are gone too, the next start makes
// them again.
func (l *Log) restoreFinished(s *Segment) error {
	job := l.finishJob(s)
	if r, ok := s.file.(*evictableFile); ok {
		file := r.file.Load()
		if file == nil {
			return nil // nothing has it open that could be written again
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
	l.options.Logger.Error("a segment's file had been removed under the server and was written again from memory", "file", s.path)
}

// finishAll is what Close does: it finishes every segment, the active one too.
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
		r := l.finishJob(s).run()
		l.finish(s, r)
		errs = append(errs, r.syncErr, r.err)
	}
	l.noteDurable()
	return errors.Join(errs...)
}
