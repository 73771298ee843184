package commit

import (
	"sync"
	"sync/atomic"
	"time"

	"oneplusn/fanout/loop"
)

// maxWriters is how many logs are written to concurrently. If so many writes are stuck, appends to other logs wait too;
// everything else goes on.
const maxWriters = 64

// writers are the goroutines that write to logs, so that a write blocked on its disk stops no client of another topic.
// They are started on demand, and stay.
type writers struct {
	work    chan *Partition
	ended   sync.WaitGroup
	started int
	busy    int
	// done lists the partitions whose write has run, the latest first, linked by nextDone.
	done atomic.Pointer[Partition]
	loop *loop.Loop
}

func (w *writers) open(l *loop.Loop) {
	w.loop = l
	w.work = make(chan *Partition, maxWriters)
}

// close ends the goroutines, and waits for their writes.
func (w *writers) close() {
	close(w.work)
	w.ended.Wait()
}

func (w *writers) full() bool { return w.busy == maxWriters }

// hand queues a partition's write to run. There must be room for it: then this never blocks.
func (w *writers) hand(p *Partition) {
	if w.busy++; w.busy > w.started {
		w.started++
		w.ended.Go(w.run)
	}
	w.work <- p
}

func (w *writers) run() {
	ended := false
	defer w.loop.Guard(&ended)
	for p := range w.work {
		began := time.Now()
		p.queue.write.Run()
		p.queue.took = time.Since(began)
		before := w.done.Load()
		for p.queue.nextDone = before; !w.done.CompareAndSwap(before, p); p.queue.nextDone = before {
			before = w.done.Load()
		}
		// From here on the partition is the loop's again. The first of several wakes the loop.
		if before == nil {
			w.loop.Kernel.Wake()
		}
	}
	ended = true
}

// take returns the partitions whose write has run, in that order, linked by nextDone.
func (w *writers) take() (first *Partition) {
	for p := w.done.Swap(nil); p != nil; {
		w.busy--
		p.queue.nextDone, p, first = first, p.queue.nextDone, p
	}
	return first
}
