package group

import "time"

// gathering is the wait for more members before a group's first generation (KIP-134). Consumers that start together meet
// in one generation; without it each would make all others rebalance again. It ends one delay after the last arrival; in
// Apache Kafka after a whole delay without an arrival, up to twice as late.
//
// Most groups have one member, which should not wait in vain: it goes on alone after LoneMemberDelay. The price is one
// more rebalance if a second member comes later; that one lasts until the delay since the group's beginning has passed, so
// that the rest meet in it.
type gathering struct {
	active bool
	until  time.Duration // when it ends at the latest
	// young is the end of a lone member's wait without LoneMemberDelay; 0 if it is not alone.
	young time.Duration
	grew  bool // a client has come since the last rebalance began
}

// gather is the end of the wait for old and new members of a rebalance that begins now.
func (c *Coordinator) gather(now Instant, g *group, fromEmpty bool) (until time.Duration) {
	w, delay := &g.gathering, c.config.InitialRebalanceDelay
	late := w.grew && now.Monotonic < w.young
	until, w.until = w.young, now.Monotonic+g.rebalanceTimeout()
	w.active, w.grew, w.young = delay > 0 && (fromEmpty || late), false, 0
	switch {
	case !w.active:
		return w.until
	case late:
	case g.pending.len() > 0:
		until = now.Monotonic + delay
	default:
		w.young = now.Monotonic + delay
		until = min(w.young, now.Monotonic+c.config.LoneMemberDelay)
	}
	return min(until, w.until)
}

// arrived notes that a client wants to be a member.
func (c *Coordinator) arrived(now Instant, g *group) {
	w := &g.gathering
	if w.grew = true; w.active {
		w.young = 0
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
