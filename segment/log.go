package segment

import (
	"errors"
	"fmt"
	"sort"
)

// Log is the log of one partition. It belongs to one thread. After [Log.Close] or [Log.Delete] a method that only tells what the log
// knows (offsets, sizes, epochs, transactions) tells what was last true. Each other does nothing or returns [ErrClosed]: background jobs,
// writes and plans may come back at any time.
type Log struct {
	dir      string
	options  Options
	segments []*Segment // by base offset; the last is the active one
	// logStart is the first offset that can be read. Retention and DeleteRecords raise it.
	logStart int64
	// highWatermark is the offset behind the last batch that can be read, durable the one behind the last synced batch.
	highWatermark, durable int64
	poisoned               error
	marked                 bool  // poisoned, and failedSyncFile exists or is being made
	checkpointed           int64 // a lower bound of the recovery point on the disk
	producers              producers
	lastRead               lastRead
	scratch                scratch
	plan                   SyncPlan
	planned                bool // plan is in flight
	awaitsSync             bool // ManualCommit ended while a plan was in flight: its end makes written records readable
	dirUnsynced            bool // a file appeared, and the directory is not synced yet
	worker                 *worker
	working                bool     // a background job is in flight
	finishing              *Segment // the segment of a finishWork in flight
	workFailed             bool     // background jobs wait for the next roll
	prepared               File     // the next segment's file, or nil
	rollDue                bool     // the active segment expired and has to end
	writing                Write
	epochs                 []epochStart
	topicID                [16]byte
	aborted                []txnEntry
	unstable               unstable
	closed                 bool
	deleted                *Deleted
}

func (l *Log) active() *Segment { return l.segments[len(l.segments)-1] }

// LogStartOffset is the first offset that can be read.
func (l *Log) LogStartOffset() int64 { return max(l.logStart, l.segments[0].base) }

// LogEndOffset is the offset that the next record will get.
func (l *Log) LogEndOffset() int64 { return l.active().next }

// HighWatermark is the offset below which everything can be read. It moves with the write or, with [Options.ManualCommit], with
// [Log.Synced].
func (l *Log) HighWatermark() int64 { return l.highWatermark }

// SizeBytes is the size of all batches.
func (l *Log) SizeBytes() (n int64) {
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

// position is the index in l.segments of the segment that an offset belongs to.
func (l *Log) position(offset int64) int {
	i := sort.Search(len(l.segments), func(i int) bool { return l.segments[i].base > offset })
	return max(i-1, 0)
}

// ErrClosed: the log was closed or deleted.
var ErrClosed = errors.New("segment: the log is closed")

func (l *Log) closedError() error { return fmt.Errorf("%w: %s", ErrClosed, l.dir) }

// Close finishes all segments and releases the files; ranges in flight keep theirs. It blocks, and waits for a background job and a
// write in flight, but not for a plan: with one in flight it fails. Without an error everything is durable, and the directory may be
// opened as clean.
func (l *Log) Close() error {
	if l.closed {
		return nil
	}
	l.worker.stop()
	defer l.worker.mu.Unlock()
	if l.writing.inFlight {
		_ = l.EndWrite(&l.writing) // nobody waits for its result
	}
	if l.planned && l.poisoned == nil {
		l.poison(errors.New("a sync had not come back: if it failed, no other one tells"))
	}
	err := l.poisoned
	if err == nil {
		err = l.active().cutLeftovers()
	} else { // markWork may not have run, or have failed
		err = errors.Join(err, markFailedSync(l.options.FS, l.dir))
	}
	if err == nil {
		err = l.finishAll()
	}
	if err == nil {
		err = l.removeStraySnapshots()
	}
	if l.prepared != nil {
		_ = l.options.FS.RemoveAll(preparedPath(l.dir))
	}
	l.release()
	if err != nil {
		return fmt.Errorf("segment: closing %s: %w", l.dir, err)
	}
	return nil
}

func (l *Log) release() {
	l.closed = true
	if l.prepared != nil {
		l.options.Closer.closeFile(l.prepared)
		l.prepared = nil
	}
	for _, s := range l.segments {
		s.Release()
	}
}

// Abandon releases the files of a log that turned out to be damaged, and writes nothing. The directory must not be marked as cleanly
// stopped.
func (l *Log) Abandon() {
	l.worker.mu.Lock()
	defer l.worker.mu.Unlock()
	l.worker.gone.Store(true)
	if !l.closed {
		l.release()
	}
}
