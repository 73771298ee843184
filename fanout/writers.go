package fanout

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxWriters is how many logs are written to at the same time. Where more than that are stuck, appends to the others wait
// too; everything else goes on.
const maxWriters = 64

// writers are the goroutines that write to logs, so that a disk which makes a write wait stops no client of another
// topic. They are started when they are needed, and stay.
type writers struct {
	work    chan *partition
	ended   sync.WaitGroup
	started int
	busy    int
	// done are the partitions whose write has run, the latest first, linked by nextDone.
	done atomic.Pointer[partition]
	wake func()
}

// open is called once the loop can be woken.
func (w *writers) open(wake func()) {
	w.wake = wake
	w.work = make(chan *partition, maxWriters)
}

// close ends the goroutines, and waits for what they write.
func (w *writers) close() {
	if w.work != nil {
		close(w.work)
		w.ended.Wait()
	}
}

func (w *writers) full() bool { return w.busy == maxWriters }

// hand lets a partition's write run. There must be room for it: then this never waits.
func (w *writers) hand(p *partition) {
	if w.busy++; w.busy > w.started {
		w.started++
		w.ended.Go(w.run)
	}
	w.work <- p
}

func (w *writers) run() {
	for p := range w.work {
		began := time.Now()
		p.appends.write.Run()
		p.appends.took = time.Since(began)
		before := w.done.Load()
		for p.nextDone = before; !w.done.CompareAndSwap(before, p); p.nextDone = before {
			before = w.done.Load()
		}
		// From here on the partition is the loop's again. Who found none before it has the loop look.
		if before == nil {
			w.wake()
		}
	}
}

// take returns the partitions whose write has run, the oldest first, linked by nextDone.
func (w *writers) take() (first *partition) {
	for p := w.done.Swap(nil); p != nil; {
		w.busy--
		p.nextDone, p, first = first, p.nextDone, p
	}
	return first
}
