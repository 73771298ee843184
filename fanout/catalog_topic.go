package fanout

import (
	"fmt"
	"iter"
	"strconv"
	"strings"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/fetch"
	"oneplusn/segment"
)

// topic is a name and its partitions.
type topic struct {
	name       string
	partitions []*partition
	config     *topicConfig
	internal   bool // the server's own: clients cannot change it
	// unusable is why the start could not read its configuration; all of its partitions are offline.
	unusable error
}

// partition is one log and what others know of it.
type partition struct {
	topic  *topic
	index  int32
	log    *segment.Log
	commit commit.Partition
	fetch  fetch.Partition
	// refused is why there is no log: its files are damaged. The partition keeps its place, and answers with an error.
	refused error
	// recoveryPoint is what the file says of it.
	recoveryPoint int64
}

// directory is the name of the partition's directory.
func (p *partition) directory() string { return fmt.Sprintf("%s-%d", p.topic.name, p.index) }

// parseDirectory parses a directory's name, <topic>-<partition>.
func parseDirectory(name string) (topic string, index int32, ok bool) {
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
func (tp *topic) add(p *partition) {
	if p.topic = tp; int(p.index) != len(tp.partitions) {
		panic(fmt.Sprintf("fanout: topic %s has %d partitions, and number %d is added", tp.name, len(tp.partitions), p.index))
	}
	tp.partitions = append(tp.partitions, p)
}

// openPartition opens a log, which is made if it is missing.
func (config *topicConfig) openPartition(topic, dir string, index int32, open segment.OpenOptions) (*partition, error) {
	l, err := segment.Open(dir, config.options, open)
	if err != nil {
		return nil, err
	}
	p := &partition{index: index, log: l, commit: commit.NewPartition(topic, index, l, config.flush)}
	p.fetch = fetch.Partition{Topic: topic, Index: index, Log: l}
	p.commit.Watcher = &p.fetch
	return p, nil
}

// online are the partitions that have a log.
func (tp *topic) online() iter.Seq[*partition] {
	return func(yield func(*partition) bool) {
		for _, p := range tp.partitions {
			if p.refused == nil && !yield(p) {
				return
			}
		}
	}
}

// offline is how many partitions have no log.
func (tp *topic) offline() (n int) {
	for _, p := range tp.partitions {
		if p.refused != nil {
			n++
		}
	}
	return n
}

// counted is how many partitions take room.
func (tp *topic) counted() int {
	if tp.internal {
		return 0
	}
	return len(tp.partitions)
}
