package scenario

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// expectation gathers what may be true of a partition while a question waits for its answer.
type expectation struct {
	partition *partition
	watch     *watch[int32]
}

// possible is what may have been true.
type possible struct {
	mayExist, mayBeMissing bool
	inRange                bool // of a fetch: its offset was certain to be there
}

// expect begins to gather.
func (w *World) expect(p *partition) expectation { return expectation{p, p.topic.partitions.watch()} }

func (x expectation) end() (e possible) {
	for _, n := range x.partition.topic.partitions.unwatch(x.watch) {
		e.mayExist = e.mayExist || n > x.partition.index
		e.mayBeMissing = e.mayBeMissing || n <= x.partition.index
	}
	return e
}

// errorName is an error code in words.
func errorName(code int16) string {
	if err := kerr.ErrorForCode(code); err != nil {
		return fmt.Sprintf("error %d, %v", code, err)
	}
	return "no error"
}
