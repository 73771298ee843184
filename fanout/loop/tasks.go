package loop

import "sync/atomic"

// taskQueue carries functions from other goroutines to the loop: a lock-free stack that any goroutine pushes to and the loop takes
// whole.
type taskQueue struct {
	top atomic.Pointer[task]
}

type task struct {
	do   func()
	next *task
}

func (q *taskQueue) push(do func()) {
	t := &task{do: do}
	for {
		t.next = q.top.Load()
		if q.top.CompareAndSwap(t.next, t) {
			return
		}
	}
}

// run does everything that was pushed before it was called, oldest first.
func (q *taskQueue) run() {
	var first *task
	for t := q.top.Swap(nil); t != nil; {
		t.next, t, first = first, t.next, t
	}
	for ; first != nil; first = first.next {
		first.do()
	}
}
