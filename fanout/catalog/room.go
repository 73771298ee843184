package catalog

import (
	"fmt"

	"oneplusn/fanout/budget"
)

// room is how many partitions there may be, and how many files they may have open. It is taken before anything of a topic is
// made, and given back when the topic is deleted. The server's own topic takes none: it must always be possible.
type room struct{ partitions, files *budget.Budget }

// descriptorsEach is how many files a partition has open at most beside its finished segments: the segment that is written to,
// and the file of the next.
const FilesEach = 2

// newRoom makes room for maxPartitions, or for the existing ones if those are more; they take theirs.
func newRoom(maxPartitions, existing int, files *budget.Budget) room {
	r := room{budget.New("partition", "raise --max-partitions", max(int64(maxPartitions), int64(existing))), files}
	if err := r.take(existing); err != nil {
		panic("catalog: the existing partitions have no room: " + err.Error())
	}
	return r
}

// take takes room for n partitions. The error names the limit, and the remedy.
func (r *room) take(n int) error {
	if !r.partitions.Take(int64(n)) {
		return fmt.Errorf("%d partitions were asked for, there are %d and may be %d: raise --max-partitions, or delete topics",
			n, r.partitions.Used(), r.partitions.Limit())
	}
	if !r.files.Take(int64(n) * FilesEach) {
		r.partitions.Give(int64(n))
		return fmt.Errorf("%d partitions were asked for, which need %d open files each; %d more can be opened: "+
			"raise the limit on open files (ulimit -n), or delete topics", n, FilesEach, r.files.Left())
	}
	return nil
}

// give gives room for n partitions back.
func (r *room) give(n int) {
	r.partitions.Give(int64(n))
	r.files.Give(int64(n) * FilesEach)
}
