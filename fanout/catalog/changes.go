package catalog

import (
	"fmt"
	"slices"

	"oneplusn/segment/mark"
)

// maxChanges is how many changes of the data directory run at once. More would not make the disk faster, and each occupies a
// thread of the operating system while it waits for the disk.
const maxChanges = 16

// changeQueue orders the changes of the data directory: topics that are created, extended, deleted or configured.
//
// A change reserves the names of its topics from its begin to its end. Changes of one name run one after the other, in the
// order of their requests; changes of different names run concurrently. So a change starts from the result of the one before it,
// on disk and in memory, and nothing else touches either meanwhile. It belongs to the loop's thread.
type changeQueue struct {
	reserved map[string][]*change // by name: the change that holds it, then those that wait for it, in order
	ready    []*change            // hold all of their names, and wait for one of maxChanges to end
	running  int
	starting bool
}

// change is one entry of the queue.
type change struct {
	queue *changeQueue
	names []string // sorted
	begin func(*change)
	ahead int // how many of its names other changes hold, or wait for before it
	runs  bool
}

// enter calls begin on the loop once no earlier change holds, or waits for, any of the names: at once if that is so now. The
// names stay reserved until the change ends.
func (q *changeQueue) enter(names []string, begin func(*change)) {
	ch := &change{queue: q, names: slices.Compact(slices.Sorted(slices.Values(names))), begin: begin}
	if q.reserved == nil {
		q.reserved = make(map[string][]*change)
	}
	for _, name := range ch.names {
		if len(q.reserved[name]) > 0 {
			ch.ahead++
		}
		q.reserved[name] = append(q.reserved[name], ch)
	}
	mark.HitIf(ch.ahead > 0, "a change waited for another one of its topic")
	if ch.ahead == 0 {
		q.ready = append(q.ready, ch)
		q.start()
	}
}

// start begins the changes that are ready. It does not nest: the outer call begins those that become ready during a begin.
func (q *changeQueue) start() {
	if q.starting {
		return
	}
	q.starting = true
	for len(q.ready) > 0 && q.running < maxChanges {
		ch := q.ready[0]
		q.ready[0] = nil
		q.ready = q.ready[1:]
		q.running++
		ch.runs = true
		ch.begin(ch)
	}
	q.starting = false
}

// end passes the names on to the changes that wait for them.
func (ch *change) end() {
	if !ch.runs {
		panic(fmt.Sprintf("catalog: a change of %q ends that is not running", ch.names))
	}
	ch.runs = false
	q := ch.queue
	q.running--
	for _, name := range ch.names {
		line := q.reserved[name]
		if line[0] != ch {
			panic("catalog: two changes hold the name " + name)
		}
		line[0] = nil
		if line = line[1:]; len(line) == 0 {
			delete(q.reserved, name)
			continue
		}
		q.reserved[name] = line
		if line[0].ahead--; line[0].ahead == 0 {
			q.ready = append(q.ready, line[0])
		}
	}
	q.start()
}

// holds reports whether the change holds the name now.
func (ch *change) holds(name string) bool {
	_, is := slices.BinarySearch(ch.names, name)
	return is && ch.runs
}

// has reports whether a change of the name runs or waits.
func (q *changeQueue) has(name string) bool { return len(q.reserved[name]) > 0 }

// idle reports whether no change runs or waits.
func (q *changeQueue) idle() bool { return len(q.reserved) == 0 && q.running == 0 && len(q.ready) == 0 }
