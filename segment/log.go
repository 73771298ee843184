package segment

import (
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"strings"
)

// Log is the log of one partition. It belongs to one thread.
type Log struct {
	dir      string
	options  Options
	segments []*Segment // by base offset; the last is the active one
	// logStart is the first offset that can be read. It is moved by retention and by DeleteRecords.
	logStart int64
	// highWatermark is the offset behind the last batch that can be read, durable the one behind the last that was
	// synced.
	highWatermark, durable int64
	poisoned               error
	producers              producers
	lookup                 lookup
	scratch                scratch
	plan                   SyncPlan
	planned                bool // plan is under way
	dirUnsynced            bool // a file appeared and the directory was not synced since
	closed                 bool
}

func (l *Log) active() *Segment { return l.segments[len(l.segments)-1] }

// LogStartOffset is the first offset that can be read.
func (l *Log) LogStartOffset() int64 { return max(l.logStart, l.segments[0].base) }

// LogEndOffset is the offset that the next record will get.
func (l *Log) LogEndOffset() int64 { return l.active().next }

// HighWatermark is the offset below which everything can be read. It moves with the write, or with
// [Options.ManualCommit] when [Log.Synced] says that it is durable.
func (l *Log) HighWatermark() int64 { return l.highWatermark }

// SizeBytes is the size of all batches.
func (l *Log) SizeBytes() (n int64) {
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

// LeaderEpoch is the epoch that appended batches get: that of the options, or the last that the directory was written
// under if it is higher.
func (l *Log) LeaderEpoch() int32 { return l.options.LeaderEpoch }

// find is the segment that holds an offset between the log's start and its end.
func (l *Log) find(offset int64) *Segment {
	i := sort.Search(len(l.segments), func(i int) bool { return l.segments[i].base > offset })
	return l.segments[max(i-1, 0)]
}

// Close writes what a clean stop leaves behind and lets go of the files. Ranges under way keep theirs. It may block.
// Without an error everything is durable.
func (l *Log) Close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	var errs []error
	for _, s := range l.segments {
		if s.synced < s.size && l.poisoned == nil {
			if err := s.file.Sync(); err != nil {
				errs = append(errs, fmt.Errorf("segment: syncing %s: %w", s.path, err))
			}
		}
	}
	if l.poisoned != nil {
		errs = append(errs, l.poisoned)
	}
	l.release()
	return errors.Join(errs...)
}

func (l *Log) release() {
	l.closed = true
	for _, s := range l.segments {
		s.Release()
	}
}

// deletedSuffix marks the directory of a partition whose topic was deleted, as Kafka does.
const deletedSuffix = "-delete"

// Delete ends the log and takes its directory out of the way, by one rename. remove removes the files; it may block and
// be called from any goroutine. Ranges under way can still be sent.
func (l *Log) Delete() (remove func() error, err error) {
	aside := l.dir + "." + randomHex() + deletedSuffix
	if err := l.options.FS.Rename(l.dir, aside); err != nil {
		return nil, fmt.Errorf("segment: deleting %s: %w", l.dir, err)
	}
	fs := l.options.FS
	if !l.closed {
		l.release()
	}
	return func() error {
		if err := fs.RemoveAll(aside); err != nil {
			return fmt.Errorf("segment: removing %s: %w", aside, err)
		}
		return nil
	}, nil
}

// IsDeleted says that a directory is what [Log.Delete] left when its remove was not called or did not finish.
func IsDeleted(dir string) bool {
	name := filepath.Base(dir)
	return len(name) > len(deletedSuffix) && strings.HasSuffix(name, deletedSuffix)
}
