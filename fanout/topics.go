package fanout

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"oneplusn/segment"
)

// topic is a name and its partitions.
type topic struct {
	name       string
	partitions []*partition
}

// partition is one log and the fetches that wait for it to grow.
type partition struct {
	topic   *topic
	index   int32
	log     *segment.Log
	waiters waitList
	grown   bool // already on Broker.grown
}

// topics is the table of topics and the directory they live in.
type topics struct {
	dir     string
	options segment.Options
	byName  map[string]*topic
	meta    meta
	// making holds names that a goroutine is making the directories of.
	making map[string]bool
}

// open recovers every partition below the data directory.
func (t *topics) open(config Config, log *slog.Logger) error {
	t.dir = config.DataDir
	t.options = segment.Options{
		SegmentBytes:  config.SegmentBytes,
		MaxBatchBytes: config.MaxMessageBytes,
		LeaderEpoch:   leaderEpoch,
		Logger:        log,
	}
	t.byName = make(map[string]*topic)
	t.making = make(map[string]bool)
	if err := os.MkdirAll(t.dir, 0o755); err != nil {
		return fmt.Errorf("fanout: cannot make the data directory: %w: choose another with --data", err)
	}
	if err := t.meta.open(t.dir, config.NodeID); err != nil {
		return err
	}
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
		p, err := openPartition(filepath.Join(t.dir, e.Name()), index, t.options)
		if err != nil {
			_ = t.close(log)
			return err
		}
		t.add(name, p)
	}
	return t.checkComplete(log)
}

// checkComplete refuses topics with a partition missing: to serve the others would renumber nothing, but producers
// would place keys as if the topic were whole.
func (t *topics) checkComplete(log *slog.Logger) error {
	for name, tp := range t.byName {
		slices.SortFunc(tp.partitions, func(a, b *partition) int { return int(a.index - b.index) })
		for i, p := range tp.partitions {
			if p.index != int32(i) {
				_ = t.close(log)
				return fmt.Errorf("fanout: topic %s has partition %d but not %d: put the directory %s-%d back, or move the topic's directories away",
					name, p.index, i, name, i)
			}
		}
	}
	return nil
}

func (t *topics) add(name string, p *partition) {
	tp := t.byName[name]
	if tp == nil {
		tp = &topic{name: name}
		t.byName[name] = tp
	}
	p.topic = tp
	tp.partitions = append(tp.partitions, p)
}

func openPartition(dir string, index int32, options segment.Options) (*partition, error) {
	l, err := segment.Open(dir, options, segment.OpenOptions{})
	if err != nil {
		return nil, err
	}
	return &partition{index: index, log: l}, nil
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

// find is the partition of a request, or nil. It does not allocate.
func (t *topics) find(name []byte, index int32) *partition {
	tp := t.byName[string(name)]
	if tp == nil || index < 0 || int(index) >= len(tp.partitions) {
		return nil
	}
	return tp.partitions[index]
}

// makeTopic makes a topic's directories and logs. It runs off the loop and touches nothing that the loop owns. On an
// error nothing is left behind.
func makeTopic(dir, name string, partitions int, options segment.Options) (*topic, error) {
	tp := &topic{name: name}
	for i := range partitions {
		path := filepath.Join(dir, fmt.Sprintf("%s-%d", name, i))
		p, err := openPartition(path, int32(i), options)
		if err != nil {
			return nil, errors.Join(err, removeTopic(tp))
		}
		p.topic = tp
		tp.partitions = append(tp.partitions, p)
	}
	return tp, nil
}

// removeTopic removes the files of a topic that nobody has seen.
func removeTopic(tp *topic) error {
	var errs []error
	for _, p := range tp.partitions {
		remove, err := p.log.Delete()
		if err == nil {
			err = remove()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// close closes every log, which writes what a clean stop leaves behind.
func (t *topics) close(log *slog.Logger) error {
	var errs []error
	for _, tp := range t.byName {
		for _, p := range tp.partitions {
			if err := p.log.Close(); err != nil {
				log.Error("closing a partition", "topic", tp.name, "partition", p.index, "error", err)
				errs = append(errs, err)
			}
		}
	}
	t.byName = nil
	return errors.Join(errs...)
}
