package fanout

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// topic is a name and its partitions.
type topic struct {
	name       string
	partitions []*partition
	config     *topicConfig
	internal   bool // clients can't change it: see offsetsTopic
	// unusable is why the start could not read its configuration; all of its partitions are refused.
	unusable error
}

// partition is one log and the fetches that wait for it to grow.
type partition struct {
	topic   *topic
	index   int32
	log     *segment.Log
	waiters waitList
	// evaluated is the last evaluation of a fetch that the partition came in.
	evaluated uint64
	grown     bool // already on Broker.grown
	appends   appendQueue
	// nextDone links partitions whose write has run: see writers.
	nextDone *partition
	// refused is why there is no log: its files are damaged. The partition keeps its place, and answers with an error.
	refused error
	// recoveryPoint is what the file says of it.
	recoveryPoint int64
	commit
}

// directory is the name of the partition's directory.
func (p *partition) directory() string { return fmt.Sprintf("%s-%d", p.topic.name, p.index) }

// topics is the table of topics and the directory they live in.
type topics struct {
	dir      string
	unlock   func() // gives the data directory back; nil once it has
	closer   segment.Closer
	defaults *topicConfig // of topics for which nothing was set
	byName   map[string]*topic
	meta     meta
	// starts are the offsets to which DeleteRecords moved the start of logs, by directory.
	starts map[string]int64
	// points are the recovery points that the start found.
	points RecoveryPoints
	lives  lives
	// changes is the line of everything that changes the directory, and the files that all changes share.
	changes    dirQueue
	startsFile sharedFile
	pointsFile sharedFile
	fs         segment.FS
	// unfinished are removals that could not be finished yet, by topic: nothing is made in their place before they are.
	unfinished map[string]*removal
	// removedAtStart are topics whose removal the start has finished.
	removedAtStart []string
	room           topicRoom
}

// partitionCount is the number of partitions that have taken room.
func (t *topics) partitionCount() (n int) {
	for _, tp := range t.byName {
		n += tp.counted()
	}
	return n
}

// open recovers every partition below the data directory.
func (t *topics) open(config Config, log *slog.Logger) error {
	t.dir = config.DataDir
	t.defaults = brokerTopicConfig(config)
	t.defaults.options.Closer = &t.closer
	t.byName = make(map[string]*topic)
	t.unfinished = make(map[string]*removal)
	if t.fs = config.fs; t.fs == nil {
		t.fs = segment.OS
	}
	t.startsFile.begin, t.pointsFile.begin, t.meta.idsFile.begin = t.writeStarts, t.writePoints, t.meta.reserve
	if err := os.MkdirAll(t.dir, 0o755); err != nil {
		return fmt.Errorf("fanout: cannot make the data directory: %w: choose another with --data", err)
	}
	var err error
	if t.unlock, err = segment.LockDataDir(t.dir); err != nil {
		return err
	}
	if err := t.openLocked(config, log); err != nil {
		t.giveBack()
		return err
	}
	return nil
}

// partitionDir parses a directory name, <topic>-<partition>.
func partitionDir(name string) (topic string, index int32, ok bool) {
	cut := strings.LastIndexByte(name, '-')
	if cut <= 0 {
		return "", 0, false
	}
	n, err := strconv.ParseInt(name[cut+1:], 10, 32)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != name[cut+1:] {
		return "", 0, false
	}
	return name[:cut], int32(n), true
}

// find is the partition of a request, or nil: then missing says why. It does not allocate.
func (t *topics) find(name []byte, index int32) *partition {
	tp := t.byName[string(name)]
	if tp == nil || index < 0 || int(index) >= len(tp.partitions) {
		return nil
	}
	if p := tp.partitions[index]; p.refused == nil {
		return p
	}
	return nil
}

// serves says that a partition is still the one of its name, and has a log. Whatever comes back to the loop later (work in
// the background, a write of a file) asks before it touches the partition: it may have been deleted meanwhile.
func (t *topics) serves(p *partition) bool {
	tp := t.byName[p.topic.name]
	return tp == p.topic && int(p.index) < len(tp.partitions) && tp.partitions[p.index] == p && p.refused == nil
}

// missing is the error for a partition that find does not find.
func (t *topics) missing(name []byte, index int32) int16 {
	tp := t.byName[string(name)]
	if tp == nil || index < 0 || int(index) >= len(tp.partitions) {
		return wire.CodeUnknownTopicOrPartition
	}
	return wire.CodeKafkaStorageError
}

// served are the topic's partitions that have a log.
func (tp *topic) served() iter.Seq[*partition] {
	return func(yield func(*partition) bool) {
		for _, p := range tp.partitions {
			if p.refused == nil && !yield(p) {
				return
			}
		}
	}
}

// refused is how many of the topic's partitions have no log.
func (tp *topic) refused() (n int) {
	for _, p := range tp.partitions {
		if p.refused != nil {
			n++
		}
	}
	return n
}

// giveBack lets another process have the data directory.
func (t *topics) giveBack() {
	if t.unlock != nil {
		t.unlock()
		t.unlock = nil
	}
}

// close ends cleanly: the next start need not scan the logs.
func (t *topics) close(log *slog.Logger) error {
	defer t.giveBack()
	refused := 0
	for _, tp := range t.byName {
		refused += tp.refused()
	}
	err := t.closeLogs(log)
	t.settle(log)
	if t.room.partitions != nil {
		t.room.give(t.partitionCount())
	}
	t.byName = nil
	if err != nil {
		return err
	}
	if refused > 0 {
		return nil // what a crash did to them is still to be seen
	}
	return segment.WriteCleanMark(segment.OS, t.dir)
}

// closeLogs closes every log, which writes what a clean stop leaves behind.
func (t *topics) closeLogs(log *slog.Logger) error {
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		errs  []error
		slots = make(chan struct{}, closeAtOnce)
	)
	for _, tp := range t.byName {
		for p := range tp.served() {
			slots <- struct{}{}
			wait.Go(func() {
				defer func() { <-slots }()
				if err := p.log.Close(); err != nil {
					log.Error("closing a partition", "topic", tp.name, "partition", p.index, "error", err)
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			})
		}
	}
	wait.Wait()
	t.closer.Wait()
	return errors.Join(errs...)
}

// closeAtOnce is how many logs are closed at the same time: each waits for the disk several times, and the disk takes
// what waits together in one go.
const closeAtOnce = 32
