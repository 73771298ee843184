package catalog

import (
	"fmt"
	"iter"
	"strconv"
	"strings"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/fetch"
	"oneplusn/segment"
)

// Topic is a name and its partitions.
type Topic struct {
	Name       string
	Partitions []*Partition
	Config     *TopicConfig
	Internal   bool // the server's own: clients cannot change it
	// unusable is why the start could not read its configuration; all of its partitions are offline.
	unusable error
}

// Partition is one log, and the state that each part of the server keeps of it. It does not move.
type Partition struct {
	Topic  *Topic
	Index  int32
	Log    *segment.Log
	Commit commit.Partition
	Fetch  fetch.Partition
	// Offline is why it has no log: its files are damaged or missing. It keeps its index, and answers with an error.
	Offline error
	// recoveryPoint is the one in the file.
	recoveryPoint int64
}

// Directory is the name of the partition's directory.
func (p *Partition) Directory() string { return fmt.Sprintf("%s-%d", p.Topic.Name, p.Index) }

// ParseDirectory parses a directory's name, <topic>-<partition>.
func ParseDirectory(name string) (topic string, index int32, ok bool) {
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

// add adds the next partition.
func (tp *Topic) add(p *Partition) {
	if p.Topic = tp; int(p.Index) != len(tp.Partitions) {
		panic(fmt.Sprintf("catalog: topic %s has %d partitions, and number %d is added", tp.Name, len(tp.Partitions), p.Index))
	}
	tp.Partitions = append(tp.Partitions, p)
}

// openPartition opens a log, which is made if it is missing.
func (config *TopicConfig) openPartition(topic, dir string, index int32, open segment.OpenOptions) (*Partition, error) {
	l, err := segment.Open(dir, config.Options, open)
	if err != nil {
		return nil, err
	}
	p := &Partition{Index: index, Log: l, Commit: commit.NewPartition(topic, index, l, config.Flush)}
	p.Fetch = fetch.Partition{Topic: topic, Index: index, Log: l}
	p.Commit.Watcher = &p.Fetch
	return p, nil
}

// Online are the partitions that have a log.
func (tp *Topic) Online() iter.Seq[*Partition] {
	return func(yield func(*Partition) bool) {
		for _, p := range tp.Partitions {
			if p.Offline == nil && !yield(p) {
				return
			}
		}
	}
}

// Offline is how many partitions have no log.
func (tp *Topic) Offline() (n int) {
	for _, p := range tp.Partitions {
		if p.Offline != nil {
			n++
		}
	}
	return n
}

// These yields the partitions of a list that exist and are online. The cost is that of the list.
func (tp *Topic) These(wanted []int32) iter.Seq[*Partition] {
	return func(yield func(*Partition) bool) {
		for _, index := range wanted {
			if index < 0 || int(index) >= len(tp.Partitions) {
				continue
			}
			if p := tp.Partitions[index]; p.Offline == nil && !yield(p) {
				return
			}
		}
	}
}

// counted is how many partitions take room.
func (tp *Topic) counted() int {
	if tp.Internal {
		return 0
	}
	return len(tp.Partitions)
}
