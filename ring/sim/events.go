package sim

import "time"

// happening is what is to come: an operation that can go on, a peer that reads, or a function.
type happening interface{ happen() }

type call func()

func (f call) happen() { f() }

// events is a heap of what is to come, the next first. Of two at the same time the one that was added first is the first.
type events struct {
	heap  []event
	added uint64
}

type event struct {
	at  time.Duration
	seq uint64
	happening
}

func (e *event) before(other *event) bool {
	return e.at < other.at || e.at == other.at && e.seq < other.seq
}

// first is when the next one is due.
func (e *events) first() (at time.Duration, known bool) {
	if len(e.heap) == 0 {
		return 0, false
	}
	return e.heap[0].at, true
}

func (e *events) add(at time.Duration, h happening) {
	e.heap = append(e.heap, event{at, e.added, h})
	e.added++
	for i := len(e.heap) - 1; i > 0 && e.heap[i].before(&e.heap[(i-1)/2]); i = (i - 1) / 2 {
		e.heap[i], e.heap[(i-1)/2] = e.heap[(i-1)/2], e.heap[i]
	}
}

// take removes the next one.
func (e *events) take() happening {
	taken, last := e.heap[0].happening, len(e.heap)-1
	e.heap[0], e.heap[last] = e.heap[last], event{}
	e.heap = e.heap[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if e.heap[child].before(&e.heap[least]) {
				least = child
			}
		}
		if least == i {
			return taken
		}
		e.heap[i], e.heap[least] = e.heap[least], e.heap[i]
		i = least
	}
}
