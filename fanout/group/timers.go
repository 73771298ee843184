package group

import "time"

// alarm is what a timer wakes.
type alarm interface {
	fire(c *Coordinator, now Instant)
}

// timer is a deadline. It is part of what it wakes, and knows its place in the heap so that it can be stopped.
type timer struct {
	at    time.Duration
	index int // in the heap plus one; 0 while it is stopped
	owner alarm
}

// timers is a binary heap of the timers that run, the next one first. A heartbeat does not touch it: a member's timer
// is looked at when it fires, and then set to when the member would really be late.
type timers []*timer

func (h timers) next() (time.Duration, bool) {
	if len(h) == 0 {
		return 0, false
	}
	return h[0].at, true
}

// start sets a timer, whether or not it runs.
func (h *timers) start(t *timer, at time.Duration) {
	t.at = at
	if t.index == 0 {
		*h = append(*h, t)
		t.index = len(*h)
	}
	h.down(t.index - 1)
	h.up(t.index - 1)
}

func (h *timers) stop(t *timer) {
	if t.index == 0 {
		return
	}
	i, last := t.index-1, len(*h)-1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = 0
	if i < last {
		h.down(i)
		h.up(i)
	}
}

func (h timers) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

func (h timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent].at <= h[i].at {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h timers) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h[child].at < h[least].at {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}
