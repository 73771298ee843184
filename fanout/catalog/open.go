package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"oneplusn/segment"
	"oneplusn/segment/mark"
)

// A start takes damaged partitions offline and serves the rest: a partition whose files cannot be used, or a topic whose
// configuration cannot be read, keeps its place and answers with an error. A start fails only for the whole directory (its lock,
// its identity in meta.properties, a mark of a clean stop that cannot be removed), or if the host is out of descriptors or
// memory, which would take intact partitions offline.

// recover opens the directory.
func (c *Catalog) recover() error {
	fresh, err := c.identity.open(c.config.FS, c.loop.Random, c.config.Dir, c.config.NodeID)
	if err != nil {
		return err
	}
	c.ids.open(c.config.FS, c.loop.Random, c.config.Dir, fresh, c.loop, c.loop.Log)
	c.readStarts()
	points, err := ReadRecoveryPoints(c.config.FS, c.config.Dir)
	if err != nil {
		c.loop.Log.Error("the recovery points of logs are unknown, so damage that has records behind it is not cut", "error", err)
	}
	clean, err := segment.TakeCleanMark(c.config.FS, c.config.Dir)
	if err != nil {
		return err
	}
	if err := c.finishRemovals(); err != nil {
		return err
	}
	if err := c.openAll(clean, points); err != nil {
		_ = c.closeLogs()
		return err
	}
	highest := int32(0)
	for tp := range c.all() {
		for p := range tp.Online() {
			highest = max(highest, p.Log.LeaderEpoch())
		}
	}
	c.epochs.open(c.config.FS, c.config.Dir, highest, c.loop, c.loop.Log)
	return nil
}

// readStarts reads the starts of logs that DeleteRecords moved. Without them logs begin where their first segments do, as in
// Apache Kafka: the records that were deleted last can be read again, and nothing is lost.
func (c *Catalog) readStarts() {
	path := filepath.Join(c.config.Dir, segment.LogStartFile)
	var err error
	if c.starts, err = segment.ReadCheckpoint(c.config.FS, path); err == nil {
		return
	}
	c.starts = make(map[string]int64)
	aside, notKept := segment.SetAside(c.config.FS, path)
	c.loop.Log.Error("where logs begin is unknown: records that DeleteRecords deleted can be read again until their segments go",
		"error", err, "kept_as", aside, "not_kept", errorText(notKept))
}

// partitionEntry is a directory that has a partition's name.
type partitionEntry struct {
	topic string
	index int32
	path  string
}

// openAll opens the logs of every topic that has a directory.
func (c *Catalog) openAll(clean bool, points RecoveryPoints) error {
	found, err := c.listPartitions()
	if err != nil {
		return err
	}
	for _, e := range found {
		tp := c.topicOf(e.topic)
		if !c.fillGap(tp, e) {
			continue
		}
		directory := filepath.Base(e.path)
		point := points.Of(directory)
		var p *Partition
		err := tp.unusable
		if err == nil {
			p, err = tp.Config.openPartition(tp.Name, e.path, e.index,
				segment.OpenOptions{Clean: clean, LogStartOffset: c.starts[directory], RecoveryPoint: point})
		}
		if exhausted(err) {
			return fmt.Errorf("there are %d partitions, and the limit on open files is %d: raise it (ulimit -n, LimitNOFILE=): %w",
				len(found), c.config.OpenFilesLimit, err)
		}
		if err != nil {
			c.loop.Log.Error("a partition is offline, the others are served", "topic", tp.Name, "partition", e.index, "error", err)
			mark.Hit("a start took a partition offline")
			p = &Partition{Index: e.index, Offline: err, recoveryPoint: point}
		}
		tp.add(p)
	}
	for name, tp := range c.byName {
		if len(tp.Partitions) == 0 { // of stray directories only
			delete(c.byName, name)
		}
	}
	return nil
}

// listPartitions returns the directories of partitions, in the order of topics and partitions. It removes the leftovers of
// deletions.
func (c *Catalog) listPartitions() ([]partitionEntry, error) {
	entries, err := c.config.FS.ReadDir(c.config.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read the data directory: %w", err)
	}
	var found []partitionEntry
	for _, e := range entries {
		path := filepath.Join(c.config.Dir, e.Name())
		if e.IsDir() && segment.IsDeleted(e.Name()) {
			mark.Hit("a start removed the files of a deleted partition")
			c.loop.Log.Info("removing a deleted partition's files", "directory", e.Name())
			if err := c.config.FS.RemoveAll(path); err != nil {
				c.loop.Log.Error("a deleted partition's files could not be removed", "directory", e.Name(), "error", err)
			}
			continue
		}
		if name, index, ok := ParseDirectory(e.Name()); ok && e.IsDir() && !c.isRemoved(name, index) {
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

// fillGap adds missing partitions before this one as offline: without them producers would hash keys to a smaller number of
// partitions. ok is false for a directory that is no part of the topic: it has no segment, or its number is too high.
func (c *Catalog) fillGap(tp *Topic, e partitionEntry) (ok bool) {
	have := int32(len(tp.Partitions))
	if e.index == have {
		return true
	}
	if e.index-have > maxMissingPartitions || !holdsSegment(c.config.FS, e.path) {
		c.loop.Log.Error("a directory is ignored: it has a partition's name, and the partitions before it are missing", "directory", e.path,
			"missing_from", have, "remedy", "put them back, or move it away")
		return false
	}
	for index := have; index < e.index; index++ {
		err := fmt.Errorf("topic %s has partition %d but not %d: put the directory %s-%d back, or move the topic's directories away",
			tp.Name, e.index, index, tp.Name, index)
		c.loop.Log.Error("a partition is missing, the others are served", "topic", tp.Name, "partition", index, "error", err)
		tp.add(&Partition{Index: index, Offline: err, recoveryPoint: segment.AllDurable})
	}
	return true
}

func holdsSegment(fsys segment.FS, dir string) bool {
	entries, err := fsys.ReadDir(dir)
	return err != nil || slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return filepath.Ext(e.Name()) == ".log" })
}

// exhausted reports whether an error is about the host, and not about the files of a partition.
func exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// topicOf returns the topic of a name. Its configuration is read with the first of its directories.
func (c *Catalog) topicOf(name string) *Topic {
	if tp := c.byName[name]; tp != nil {
		return tp
	}
	tp := &Topic{Name: name, Config: c.config.Defaults}
	c.add(tp)
	if name == c.config.Internal {
		tp.Config, tp.Internal = c.internalConfig(), true
		return tp
	}
	path := topicConfigPath(c.config.Dir, name)
	set, foreign, err := readTopicConfig(c.config.FS, path)
	if err != nil {
		tp.unusable = err
		return tp
	}
	if foreign {
		c.loop.Log.Info("nothing of a topic from another broker is deleted by retention", "topic", name, "remedy", "set its retention.ms or retention.bytes")
	}
	own, err := topicConfigOf(c.config.Defaults, set, c.config.MaxBatchBytes)
	if err != nil {
		tp.unusable = fmt.Errorf("%s: %w: correct the line, or remove it", path, err)
		return tp
	}
	tp.Config = own
	return tp
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
