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
)

// lives sees to it that a topic that is deleted and made again begins with a leader epoch above all that its name was ever
// written under. Offsets name other records then, and clients that read without topic ids have nothing else to tell by:
// the epoch that they know is fenced, and has ended at the start of the log.
//
// One number does for all names: a topic that is made gets the next epoch, and a deletion raises it above the epochs of
// what is deleted. A directory in which nothing was ever deleted gives epoch 0.
type lives struct {
	file string
	next int32 // the epoch of a topic that is made now
	// reserved is what the file says, and where the next start begins. So most deletions write nothing, and a full disk
	// does not keep them from making room.
	reserved int32
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
func (l *lives) open(dir string, highest int32, log *slog.Logger) {
	l.file = filepath.Join(dir, livesFile)
	text, err := os.ReadFile(l.file)
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
			"file", l.file, "error", err)
		l.next = clampEpoch(int64(highest) + livesUnknown)
		return
	}
	l.next, l.reserved = int32(n), int32(n)
}

func clampEpoch(n int64) int32 { return int32(min(n, math.MaxInt32)) }

// ending is what the deletion of topics needs: the next epoch when it is done, and what the file must say before, if that
// is more than it does.
func (l *lives) ending(topics map[*topic]bool) (next int32, write func() error, written func()) {
	next = l.next
	for tp := range topics {
		for p := range tp.served() {
			next = max(next, clampEpoch(int64(p.log.LeaderEpoch())+1))
		}
	}
	if next <= l.reserved {
		return next, nil, func() {}
	}
	file, reserve := l.file, clampEpoch(int64(next)+livesBlock)
	return next, func() error {
		if err := replaceFile(file, []byte(strconv.Itoa(int(reserve))+"\n")); err != nil {
			return fmt.Errorf("fanout: reserving leader epochs: %w", err)
		}
		return nil
	}, func() { l.reserved = max(l.reserved, reserve) }
}

// endLives prepares the deletion of topics, and calls do on the loop when it is durable that their names go on with
// higher epochs, and without recovery points: at once, if nothing has to be written.
func (b *Broker) endLives(names []string, do func(failed error)) {
	if next, reserve, _, forget := b.endingLives(names); reserve == nil && forget == nil {
		b.topics.lives.next = next
		do(nil)
		return
	}
	b.fileWork(func() func() func() {
		next, reserve, reserved, forget := b.endingLives(names)
		return func() func() {
			var failed, late error
			if reserve != nil {
				failed = reserve()
			}
			if forget != nil && failed == nil {
				late = forget()
			}
			return func() {
				if late != nil { // the next checkpoint does it
					warnRecoveryPoints(b.log, late)
				}
				if failed != nil {
					b.log.Error("topics could not be deleted", "error", failed, "remedy", storageRemedy(failed))
				} else {
					reserved()
					b.topics.lives.next = max(b.topics.lives.next, next)
				}
				do(failed)
			}
		}
	})
}

// endingLives is what has to be done for the topics of these names.
func (b *Broker) endingLives(names []string) (next int32, reserve func() error, reserved func(), forget func() error) {
	gone := make(map[*topic]bool)
	for _, name := range names {
		if tp := b.topics.byName[name]; tp != nil && !tp.internal && tp.refused() == 0 {
			gone[tp] = true
		}
	}
	next, reserve, reserved = b.topics.lives.ending(gone)
	return next, reserve, reserved, b.topics.forgetRecoveryPoints(gone)
}
