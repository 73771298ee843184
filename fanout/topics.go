package fanout

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// topic is a name and its partitions.
type topic struct {
	name       string
	partitions []*partition
	config     *topicConfig
	internal   bool // clients can't change it: see offsetsTopic
}

// partition is one log and the fetches that wait for it to grow.
type partition struct {
	topic   *topic
	index   int32
	log     *segment.Log
	waiters waitList
	grown   bool // already on Broker.grown
	// refused is why there is no log: its files are damaged. The partition keeps its place, and answers with an error.
	refused error
	commit
}

// directory is the name of the partition's directory.
func (p *partition) directory() string { return fmt.Sprintf("%s-%d", p.topic.name, p.index) }

// topics is the table of topics and the directory they live in.
type topics struct {
	dir      string
	unlock   func()       // gives the data directory back; nil once it has
	defaults *topicConfig // of topics for which nothing was set
	byName   map[string]*topic
	meta     meta
	// starts are the offsets to which DeleteRecords moved the start of logs, by directory.
	starts map[string]int64
	// making holds names that a goroutine is making the directories of.
	making map[string]bool
}

// open recovers every partition below the data directory.
func (t *topics) open(config Config, log *slog.Logger) error {
	t.dir = config.DataDir
	t.defaults = brokerTopicConfig(config)
	t.byName = make(map[string]*topic)
	t.making = make(map[string]bool)
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

func (t *topics) openLocked(config Config, log *slog.Logger) error {
	if err := t.meta.open(t.dir, config.NodeID); err != nil {
		return err
	}
	var err error
	if t.starts, err = segment.ReadCheckpoint(segment.OS, filepath.Join(t.dir, segment.LogStartFile)); err != nil {
		return err
	}
	clean, err := segment.TakeCleanMark(segment.OS, t.dir)
	if err != nil {
		return err
	}
	if err := t.openAll(config, clean, log); err != nil {
		_ = t.closeLogs(log)
		return err
	}
	return nil
}

// openAll opens the logs of every topic that has a directory.
func (t *topics) openAll(config Config, clean bool, log *slog.Logger) error {
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return fmt.Errorf("fanout: cannot read the data directory: %w", err)
	}
	for _, e := range entries {
		name, index, ok := partitionDir(e.Name())
		if e.IsDir() && segment.IsDeleted(e.Name()) {
			log.Info("removing a deleted partition's files", "directory", e.Name())
			if err := os.RemoveAll(filepath.Join(t.dir, e.Name())); err != nil {
				return fmt.Errorf("fanout: removing a deleted partition: %w", err)
			}
			continue
		}
		if !e.IsDir() || !ok {
			continue
		}
		tp, err := t.topicOf(name, config, log)
		if err != nil {
			return err
		}
		open := segment.OpenOptions{Clean: clean, LogStartOffset: t.starts[e.Name()]}
		err = tp.open(filepath.Join(t.dir, e.Name()), index, open)
		if refusable(err) && !tp.internal {
			log.Error("a partition is refused, the others are served", "topic", name, "partition", index, "error", err)
			tp.partitions = append(tp.partitions, &partition{topic: tp, index: index, refused: err})
			continue
		}
		if err != nil {
			return err
		}
	}
	return t.checkComplete()
}

// refusable says that an error is one of the partition's own files, and not of the server or its host.
func refusable(err error) bool {
	var damaged *segment.DamagedError
	return errors.As(err, &damaged) || errors.Is(err, syscall.EIO)
}

// topicOf is the topic of a name, with its configuration, which is read when the first of its directories is met.
func (t *topics) topicOf(name string, config Config, log *slog.Logger) (*topic, error) {
	if tp := t.byName[name]; tp != nil {
		return tp, nil
	}
	if name == offsetsTopic {
		tp := &topic{name: name, config: offsetsConfig(t.defaults), internal: true}
		t.byName[name] = tp
		return tp, nil
	}
	path := topicConfigPath(t.dir, name)
	set, foreign, err := readTopicConfig(path)
	if err != nil {
		return nil, err
	}
	if foreign {
		log.Info("a topic that was made elsewhere is kept whole", "topic", name, "remedy", "set its retention.ms or retention.bytes")
	}
	tp := &topic{name: name}
	if tp.config, err = topicConfigOf(t.defaults, set, config.MaxRequestBytes); err != nil {
		return nil, fmt.Errorf("fanout: %s: %w: correct the line, or remove it", path, err)
	}
	t.byName[name] = tp
	return tp, nil
}

// open opens the log of one partition, which is made if it is missing.
func (tp *topic) open(dir string, index int32, open segment.OpenOptions) error {
	l, err := segment.Open(dir, tp.config.options, open)
	if err != nil {
		return err
	}
	p := &partition{topic: tp, index: index, log: l}
	p.policy = tp.config.flush
	tp.partitions = append(tp.partitions, p)
	return nil
}

// checkComplete refuses topics with a partition missing: to serve the others would renumber nothing, but producers
// would place keys as if the topic were whole.
func (t *topics) checkComplete() error {
	for name, tp := range t.byName {
		slices.SortFunc(tp.partitions, func(a, b *partition) int { return int(a.index - b.index) })
		for i, p := range tp.partitions {
			if p.index != int32(i) {
				return fmt.Errorf("fanout: topic %s has partition %d but not %d: put the directory %s-%d back, or move the topic's directories away",
					name, p.index, i, name, i)
			}
		}
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
	if err := t.closeLogs(log); err != nil {
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
	t.byName = nil
	return errors.Join(errs...)
}

// closeAtOnce is how many logs are closed at the same time: each waits for the disk several times, and the disk takes
// what waits together in one go.
const closeAtOnce = 32
