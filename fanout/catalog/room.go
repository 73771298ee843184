package catalog

import (
	"fmt"

	"oneplusn/fanout/budget"
	"oneplusn/segment/mark"
)

// room limits partitions and their open files. It is taken before anything of a topic is made, and given back when the topic is
// deleted. The server's own topic takes none: creating it must never fail for lack of room.
type room struct{ partitions, files *budget.Budget }

// FilesEach is how many files a partition has open at most, beside those of its finished segments: the active segment's and the
// next one's.
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
		mark.Hit("partitions were refused, there are too many")
		return fmt.Errorf("%d partitions were asked for, there are %d and may be %d: raise --max-partitions, or delete topics",
			n, r.partitions.Used(), r.partitions.Limit())
	}
	if !r.files.Take(int64(n) * FilesEach) {
		mark.Hit("partitions were refused for lack of descriptors")
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
