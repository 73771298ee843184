package group

import "time"

// gathering is the wait for more members before a group's first generation (KIP-134): consumers that start together
// meet in one generation, where each would otherwise make all others rebalance again. It lasts for a delay after the last
// that has come; in Apache Kafka until such a delay has gone by from its beginning to its end, which is up to twice as long.
//
// Most groups have one member, which should not wait for others that never come: it waits only for LoneMemberDelay, and
// if nobody else has asked to join by then it goes on alone. The price is one more rebalance when the second comes
// later; that one lasts until the delay from the group's beginning is over, so that the rest of them meet in it.
type gathering struct {
	active bool
	until  time.Duration // when it ends at the latest
	// young is when the wait of a member that is alone would have ended without LoneMemberDelay; 0 if it is not alone.
	young time.Duration
	grew  bool // somebody has come since the last rebalance began
}

// gather says how long a rebalance that begins waits for members, those that it has and others.
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

// gathered ends the wait for others. The rebalance goes on until those have joined that it knows of: members of the last
// generation hear of it by their next heartbeat, which may take longer.
func (c *Coordinator) gathered(now Instant, g *group) {
	g.gathering.active = false
	c.timers.start(&g.phase, g.gathering.until)
	c.rebalanceStep(now, g)
}
