package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"path/filepath"

	"oneplusn/segment"
	"oneplusn/segment/mark"
)

// leaderEpochs gives a recreated topic a leader epoch above all that its name has used. Its offsets name other records, and
// clients that read without topic ids can only notice by the epoch: the one that they know is fenced, and ended at the start of
// the log.
//
// One number serves all names: a new topic gets the next epoch, and a deletion raises that above the epochs of the deleted logs.
// It is 0 in a directory where nothing was ever deleted.
type leaderEpochs struct {
	fs   segment.FS
	path string
	file sharedFile
	next int32 // the epoch of a topic that is created now
	// reserved is the number in the file, with which the next start begins. Most deletions stay below it and write nothing, so
	// they work on a full disk.
	reserved int32
	wanted   int32 // deletions under way need this many
}

const (
	// LeaderEpochFile holds the epoch that the next start begins with.
	LeaderEpochFile = "leader-epoch-reserve"
	// leaderEpochBlock epochs are reserved at a time.
	leaderEpochBlock = 1000
	// LeaderEpochsUnknown is how far above the epochs of all logs a start begins that cannot read the file: epochs rise by one
	// or by a block.
	LeaderEpochsUnknown = 1 << 20
)

// open reads the file. highest is the largest epoch of the existing logs.
func (l *leaderEpochs) open(fsys segment.FS, dir string, highest int32, jobs jobs, log *slog.Logger) {
	l.fs, l.path = fsys, filepath.Join(dir, LeaderEpochFile)
	l.file = sharedFile{jobs: jobs, snapshot: l.reserve}
	n, err := readNumber(fsys, l.path, math.MaxInt32)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		log.Error("the leader epochs of deleted topics are unknown: new topics begin far above the epochs of the existing ones",
			"file", l.path, "error", err)
		l.next = clampEpoch(int64(highest) + LeaderEpochsUnknown)
		return
	}
	l.next, l.reserved = int32(n), int32(n)
}

func clampEpoch(n int64) int32 { return int32(min(n, math.MaxInt32)) }

// above returns the next epoch after topics are deleted.
func (l *leaderEpochs) above(topics []*Topic) int32 {
	next := l.next
	for _, tp := range topics {
		for p := range tp.Online() {
			next = max(next, clampEpoch(int64(p.Log.LeaderEpoch())+1))
		}
	}
	return next
}

// raise lets new topics begin with an epoch from now on.
func (l *leaderEpochs) raise(to int32) {
	if to < l.next {
		panic(fmt.Sprintf("catalog: the next leader epoch would fall from %d to %d", l.next, to))
	}
	l.next = to
}

// reserveFor is a step of the deletion of topics: it durably reserves higher epochs for their names. Without topics it reserves the
// epochs that are in use already: the disk may have been full before.
func (l *leaderEpochs) reserveFor(topics []*Topic) step {
	return func(next func(error)) {
		until := l.above(topics)
		if until <= l.reserved {
			next(nil)
			return
		}
		mark.Hit("a deletion reserved leader epochs")
		l.wanted = max(l.wanted, until)
		l.file.write(next)
	}
}

// reserve is the snapshot of the file.
func (l *leaderEpochs) reserve() (write func() error, written func()) {
	fs, path, until := l.fs, l.path, clampEpoch(int64(l.wanted)+leaderEpochBlock)
	return func() error { return writeNumber(fs, path, int64(until)) }, func() { l.reserved = max(l.reserved, until) }
}
