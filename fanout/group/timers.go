package group

import (
	"time"

	"oneplusn/fanout/heap"
)

// alarm is the owner of a timer, which wakes it.
type alarm interface {
	fire(c *Coordinator, now Instant)
}

// timer is a deadline, embedded in what it wakes.
type timer struct {
	at    time.Duration
	place heap.Place
	owner alarm
}

// Before implements [heap.Item]: the earliest deadline comes first.
func (t *timer) Before(other *timer) bool { return t.at < other.at }

// HeapPlace implements [heap.Item].
func (t *timer) HeapPlace() *heap.Place { return &t.place }

func (t *timer) running() bool { return t.place.Linked() }

// timers are the running timers. A heartbeat does not touch them: when a member's timer fires early, it is set to when
// the member's session really ends.
type timers struct{ heap heap.Heap[*timer] }

func (h *timers) next() (time.Duration, bool) {
	if h.heap.Len() == 0 {
		return 0, false
	}
	return h.heap.First().at, true
}

// due is the first timer, if its time has come, or nil.
func (h *timers) due(now time.Duration) *timer {
	if h.heap.Len() == 0 || h.heap.First().at > now {
		return nil
	}
	return h.heap.First()
}

// start sets a timer, whether or not it runs.
func (h *timers) start(t *timer, at time.Duration) {
	if t.at = at; t.running() {
		h.heap.Fix(t)
	} else {
		h.heap.Push(t)
	}
}

func (h *timers) stop(t *timer) { h.heap.Remove(t) }
