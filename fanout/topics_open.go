package fanout

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"oneplusn/segment"
)

// A start refuses what is damaged, and serves the rest: a partition whose files cannot be used, or a topic whose
// configuration cannot be read, keeps its place and answers with an error. What stops a start is about the whole
// directory, and cannot be made up for: its lock, its identity (meta.properties), the mark of a clean stop that cannot
// be taken away; and a host that is out of descriptors or memory, which would refuse what is whole.

func (t *topics) openLocked(config Config, log *slog.Logger) error {
	if err := t.meta.open(t.fs, t.dir, config.NodeID, log); err != nil {
		return err
	}
	t.starts = readLogStarts(t.dir, log)
	var err error
	if t.points, err = ReadRecoveryPoints(t.dir); err != nil {
		log.Error("the recovery points of logs are not known, so no damage is cut that has records behind it", "error", err)
	}
	clean, err := segment.TakeCleanMark(segment.OS, t.dir)
	if err != nil {
		return err
	}
	if err := t.finishRemovals(log); err != nil {
		return err
	}
	if err := t.openAll(config, clean, log); err != nil {
		_ = t.closeLogs(log)
		t.byName = nil
		return err
	}
	t.lives.open(t.fs, t.dir, t.highestEpoch(), log)
	return nil
}

// highestEpoch is the largest leader epoch of the logs that are served.
func (t *topics) highestEpoch() (epoch int32) {
	for _, tp := range t.byName {
		for p := range tp.served() {
			epoch = max(epoch, p.log.LeaderEpoch())
		}
	}
	return epoch
}

// readLogStarts are the starts that DeleteRecords moved. Without them logs begin where their first segments do, as in
// Apache Kafka: what was deleted last can be read again, and nothing is lost.
func readLogStarts(dir string, log *slog.Logger) map[string]int64 {
	path := filepath.Join(dir, segment.LogStartFile)
	starts, err := segment.ReadCheckpoint(segment.OS, path)
	if err == nil {
		return starts
	}
	aside := path + ".unreadable"
	log.Error("where logs begin is not known: records that DeleteRecords deleted can be read again until their segments go",
		"error", err, "kept_as", aside, "not_kept", errorText(os.Rename(path, aside)))
	return map[string]int64{}
}

// partitionEntry is a directory that has a partition's name.
type partitionEntry struct {
	topic string
	index int32
	path  string
}

// openAll opens the logs of every topic that has a directory.
func (t *topics) openAll(config Config, clean bool, log *slog.Logger) error {
	found, err := t.listPartitions(log)
	if err != nil {
		return err
	}
	for _, e := range found {
		tp := t.topicOf(e.topic, config, log)
		if !tp.fillGap(e, log) {
			continue
		}
		point := t.points.Of(filepath.Base(e.path))
		err := tp.unusable
		if err == nil {
			err = tp.open(e.path, e.index,
				segment.OpenOptions{Clean: clean, LogStartOffset: t.starts[filepath.Base(e.path)], RecoveryPoint: point})
		}
		if exhausted(err) {
			return fmt.Errorf("fanout: %d partitions are there, and the limit on open files is %d: raise it (ulimit -n, LimitNOFILE=): %w",
				len(found), openFilesLimit(&config), err)
		}
		if err != nil {
			log.Error("a partition is refused, the others are served", "topic", tp.name, "partition", e.index, "error", err)
			tp.partitions = append(tp.partitions, &partition{topic: tp, index: e.index, refused: err, recoveryPoint: point})
		}
	}
	for name, tp := range t.byName {
		if len(tp.partitions) == 0 { // of stray directories only
			delete(t.byName, name)
		}
	}
	return nil
}

// listPartitions are the directories of partitions, in the order of topics and partitions. What a deletion has left is
// removed.
func (t *topics) listPartitions(log *slog.Logger) ([]partitionEntry, error) {
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return nil, fmt.Errorf("fanout: cannot read the data directory: %w", err)
	}
	var found []partitionEntry
	for _, e := range entries {
		path := filepath.Join(t.dir, e.Name())
		if e.IsDir() && segment.IsDeleted(e.Name()) {
			log.Info("removing a deleted partition's files", "directory", e.Name())
			if err := os.RemoveAll(path); err != nil {
				log.Error("a deleted partition's files could not be removed", "directory", e.Name(), "error", err)
			}
			continue
		}
		if name, index, ok := partitionDir(e.Name()); ok && e.IsDir() && !t.isRemoved(name, index) {
			found = append(found, partitionEntry{name, index, path})
		}
	}
	slices.SortFunc(found, func(a, b partitionEntry) int {
		return cmp.Or(strings.Compare(a.topic, b.topic), cmp.Compare(a.index, b.index))
	})
	return found, nil
}

// maxMissingPartitions bounds the places that are kept for partitions without a directory.
const maxMissingPartitions = 10_000

// fillGap refuses the partitions that have no directory between those before and this one: to leave them out would
// let producers place keys as if the topic were smaller. ok is false for a directory that is no part of the topic:
// without a segment, or too far away.
func (tp *topic) fillGap(e partitionEntry, log *slog.Logger) (ok bool) {
	have := int32(len(tp.partitions))
	if e.index == have {
		return true
	}
	if e.index-have > maxMissingPartitions || !holdsSegment(e.path) {
		log.Error("a directory is ignored: it has a partition's name, and the partitions before it are missing", "directory", e.path,
			"missing_from", have, "remedy", "put them back, or move it away")
		return false
	}
	for index := have; index < e.index; index++ {
		err := fmt.Errorf("fanout: topic %s has partition %d but not %d: put the directory %s-%d back, or move the topic's directories away",
			tp.name, e.index, index, tp.name, index)
		log.Error("a partition is missing, the others are served", "topic", tp.name, "partition", index, "error", err)
		tp.partitions = append(tp.partitions, &partition{topic: tp, index: index, refused: err, recoveryPoint: segment.AllDurable})
	}
	return true
}

func holdsSegment(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return filepath.Ext(e.Name()) == ".log" })
}

// exhausted says that an error is about the host, and not about the files of a partition.
func exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// topicOf is the topic of a name, with its configuration, which is read when the first of its directories is met.
func (t *topics) topicOf(name string, config Config, log *slog.Logger) *topic {
	if tp := t.byName[name]; tp != nil {
		return tp
	}
	tp := &topic{name: name, config: t.defaults}
	t.byName[name] = tp
	if name == offsetsTopic {
		tp.config, tp.internal = offsetsConfig(t.defaults), true
		return tp
	}
	path := topicConfigPath(t.dir, name)
	set, foreign, err := readTopicConfig(path)
	if err != nil {
		tp.unusable = err
		return tp
	}
	if foreign {
		log.Info("a topic that was made elsewhere is kept whole", "topic", name, "remedy", "set its retention.ms or retention.bytes")
	}
	own, err := topicConfigOf(t.defaults, set, config.MaxRequestBytes)
	if err != nil {
		tp.unusable = fmt.Errorf("fanout: %s: %w: correct the line, or remove it", path, err)
		return tp
	}
	tp.config = own
	return tp
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
