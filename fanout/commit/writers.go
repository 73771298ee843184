package commit

import (
	"sync/atomic"

	"oneplusn/fanout/loop"
)

// maxWriters is how many logs are written to concurrently. If so many writes are stuck, appends to other logs wait too;
// everything else goes on.
const maxWriters = 64

// writers write to logs on other threads, so that a write blocked on its disk stops no client of another topic.
type writers struct {
	busy int
	// done lists the partitions whose write has run, the latest first, linked by nextDone.
	done atomic.Pointer[Partition]
	loop *loop.Loop
}

func (w *writers) full() bool { return w.busy == maxWriters }

// hand starts a partition's write. There must be room for it.
func (w *writers) hand(p *Partition) {
	w.busy++
	if p.queue.start == nil {
		p.queue.start = w.loop.Thread(func() { w.run(p) })
	}
	p.queue.start()
}

func (w *writers) run(p *Partition) {
	began := w.loop.Kernel.Now()
	p.queue.write.Run()
	p.queue.took = w.loop.Kernel.Now() - began
	before := w.done.Load()
	for p.queue.nextDone = before; !w.done.CompareAndSwap(before, p); p.queue.nextDone = before {
		before = w.done.Load()
	}
	// From here on the partition is the loop's again. The first of several wakes the loop.
	if before == nil {
		w.loop.Kernel.Wake()
	}
}

// take returns the partitions whose write has run, in that order, linked by nextDone.
func (w *writers) take() (first *Partition) {
	for p := w.done.Swap(nil); p != nil; {
		w.busy--
		p.queue.nextDone, p, first = first, p.queue.nextDone, p
	}
	return first
}
