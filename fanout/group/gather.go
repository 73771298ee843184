package group

import (
	"time"

	"oneplusn/segment/mark"
)

// gathering is the wait for more members before a group's first generation (KIP-134). Consumers that start together meet
// in one generation; without it each would make all others rebalance again. It ends one delay after the last arrival; in
// Apache Kafka after a whole delay without an arrival, up to twice as late.
//
// Most groups have one member, which should not wait in vain: it starts alone after LoneMemberDelay. The price is one more
// rebalance if a second member comes later; it ends when the full delay since the group's beginning has passed, so that the
// other members meet in it.
type gathering struct {
	active bool
	until  time.Duration // when it ends at the latest
	// windowEnd is when the full delay of a lone member would end; 0 if it is not alone.
	windowEnd time.Duration
	joined    bool // a client has joined since the last rebalance began
}

// gather is the end of the wait for old and new members of a rebalance that begins now.
func (c *Coordinator) gather(now Instant, g *group, fromEmpty bool) (until time.Duration) {
	w, delay := &g.gathering, c.config.InitialRebalanceDelay
	late := w.joined && now.Monotonic < w.windowEnd
	until, w.until = w.windowEnd, now.Monotonic+g.rebalanceTimeout()
	w.active, w.joined, w.windowEnd = delay > 0 && (fromEmpty || late), false, 0
	switch {
	case !w.active:
		return w.until
	case late:
		mark.Hit("a member came in the time that a lone one should have waited")
	case g.pending.len() > 0:
		until = now.Monotonic + delay
	default:
		w.windowEnd = now.Monotonic + delay
		until = min(w.windowEnd, now.Monotonic+c.config.LoneMemberDelay)
	}
	return min(until, w.until)
}

// arrived notes that a client wants to be a member.
func (c *Coordinator) arrived(now Instant, g *group) {
	w := &g.gathering
	if w.joined = true; w.active {
		w.windowEnd = 0
		c.timers.start(&g.phase, min(w.until, now.Monotonic+c.config.InitialRebalanceDelay))
	}
}

// gathered ends the wait for new members. The rebalance still waits for the known ones: members of the last generation
// learn of it by their next heartbeat.
func (c *Coordinator) gathered(now Instant, g *group) {
	g.gathering.active = false
	c.timers.start(&g.phase, g.gathering.until)
	c.rebalanceStep(now, g)
}
