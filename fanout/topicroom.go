package fanout

import (
	"fmt"

	"oneplusn/fanout/budget"
)

// topicRoom is what there is room for: partitions, and the files that they have open. It is taken before anything of a topic is
// made, and comes back when its last file is gone. The server's own topic takes nothing: it must always be possible.
type topicRoom struct {
	partitions, files *budget.Budget
	// autoTopics is the number of topics from which on metadata requests create no more.
	autoTopics int
}

// descriptorsEach is what a partition has open at most beside its finished segments: the segment that is written to, and the
// file of the next.
const descriptorsEach = 2

// newTopicRoom makes room for what the configuration and the limit on open files allow, and for what is there already.
func newTopicRoom(c *Config, files *budget.Budget, there int) topicRoom {
	limit := max(int64(c.MaxPartitions), int64(there))
	r := topicRoom{budget.New("partition", "raise --max-partitions", limit), files, c.AutoCreateTopicLimit}
	r.partitions.Take(int64(there))
	r.files.Take(int64(there) * descriptorsEach)
	return r
}

// take takes room for n partitions. The error says of what there is too little, and the remedy.
func (r *topicRoom) take(n int) error {
	if !r.partitions.Take(int64(n)) {
		return fmt.Errorf("%d partitions were asked for, there are %d and may be %d: raise --max-partitions, or delete topics",
			n, r.partitions.Used(), r.partitions.Limit())
	}
	if !r.files.Take(int64(n) * descriptorsEach) {
		r.partitions.Give(int64(n))
		return fmt.Errorf("%d partitions were asked for, which need %d open files each; %d more can be opened: "+
			"raise the limit on open files (ulimit -n), or delete topics", n, descriptorsEach, r.files.Left())
	}
	return nil
}

// give gives room for n partitions back.
func (r *topicRoom) give(n int) {
	r.partitions.Give(int64(n))
	r.files.Give(int64(n) * descriptorsEach)
}

// adds is the number of partitions that are to be made.
func (n *newTopic) adds() int {
	if n.name == offsetsTopic {
		return 0
	}
	return n.partitions - n.first
}

// counted is the number of partitions of a topic that have taken room.
func (tp *topic) counted() int {
	if tp.internal {
		return 0
	}
	return len(tp.partitions)
}
