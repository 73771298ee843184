package fanout

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"oneplusn/segment"
)

// lives sees to it that a topic that is deleted and made again begins with a leader epoch above all that its name was ever
// written under. Offsets name other records then, and clients that read without topic ids have nothing else to tell by:
// the epoch that they know is fenced, and has ended at the start of the log.
//
// One number does for all names: a topic that is made gets the next epoch, and a deletion raises it above the epochs of
// what is deleted. A directory in which nothing was ever deleted gives epoch 0.
type lives struct {
	fs   segment.FS
	path string
	file sharedFile
	next int32 // the epoch of a topic that is made now
	// reserved is what the file says, and where the next start begins. So most deletions write nothing, and a full disk
	// does not keep them from making room.
	reserved int32
	wanted   int32 // deletions under way need so many
}

const (
	livesFile = "leader-epoch-reserve"
	// livesBlock epochs are reserved at a time.
	livesBlock = 1000
	// livesUnknown is how far above the epochs of all logs a start begins that cannot read the file: epochs rise by one
	// or by a block.
	livesUnknown = 1 << 20
)

// open reads the file. highest is the largest epoch of the logs that there are.
func (l *lives) open(fsys segment.FS, dir string, highest int32, log *slog.Logger) {
	l.fs, l.path = fsys, filepath.Join(dir, livesFile)
	l.file.begin = l.reserve
	text, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	n := int64(-1)
	if err == nil {
		n, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 32)
	}
	if err == nil && n < 0 {
		err = fmt.Errorf("it holds %d", n)
	}
	if err != nil {
		log.Error("the leader epochs of deleted topics are not known: topics that are made begin far above those that there are",
			"file", l.path, "error", err)
		l.next = clampEpoch(int64(highest) + livesUnknown)
		return
	}
	l.next, l.reserved = int32(n), int32(n)
}

func clampEpoch(n int64) int32 { return int32(min(n, math.MaxInt32)) }

// after is the next epoch when topics have been deleted.
func (l *lives) after(topics []*topic) int32 {
	next := l.next
	for _, tp := range topics {
		for p := range tp.served() {
			next = max(next, clampEpoch(int64(p.log.LeaderEpoch())+1))
		}
	}
	return next
}

// end notes that topics have been deleted.
func (l *lives) end(topics []*topic) { l.next = l.after(topics) }

// reserve is a write of the file, for deletions up to wanted.
func (l *lives) reserve() (work func() error, written func()) {
	fs, path, until := l.fs, l.path, clampEpoch(int64(l.wanted)+livesBlock)
	return func() error {
		if err := segment.ReplaceFile(fs, path, []byte(strconv.Itoa(int(until))+"\n")); err != nil {
			return fmt.Errorf("fanout: reserving leader epochs: %w", err)
		}
		return nil
	}, func() { l.reserved = max(l.reserved, until) }
}

// endLives prepares the deletion of topics, whose names are held, and calls do on the loop when it is durable that their
// names go on with higher epochs: at once, if nothing has to be written.
func (b *Broker) endLives(topics []*topic, do func(failed error)) {
	l := &b.topics.lives
	next := l.after(topics)
	if next <= l.reserved {
		do(nil)
		return
	}
	l.wanted = max(l.wanted, next)
	b.topics.changes.write(&l.file, do)
}
