package group

import "time"

// gathering is the wait for more members before a group's first generation (KIP-134): consumers that start together
// meet in one generation, where each would otherwise make all others rebalance again.
//
// Most groups have one member, which should not wait for others that never come: it waits only for LoneMemberDelay, and
// if nobody else has asked to join by then it goes on alone. The price is that one more rebalance when the second comes
// later; that one lasts until the delay from the group's beginning is over, so that the rest of them meet in it.
type gathering struct {
	active bool
	alone  bool          // nobody has come yet but the first member
	grew   bool          // somebody has come since the wait began, or was prolonged
	until  time.Duration // when it ends at the latest
	// young is when the wait would have ended if the first member had not gone on alone; 0 if it did not.
	young time.Duration
}

// gather says how long a rebalance that begins waits for members, those that it has and others.
func (c *Coordinator) gather(now Instant, g *group, fromEmpty bool) (until time.Duration) {
	w, all := &g.gathering, now.Monotonic+g.rebalanceTimeout()
	late := w.grew && now.Monotonic < w.young
	if w.active = c.config.InitialRebalanceDelay > 0 && (fromEmpty || late); !w.active {
		return all
	}
	until = w.young
	if w.until, w.grew, w.young = all, false, 0; late {
		return min(all, until)
	}
	until = now.Monotonic + c.config.InitialRebalanceDelay
	if w.alone = g.pending.len() == 0; w.alone {
		w.young, until = until, min(until, now.Monotonic+c.config.LoneMemberDelay)
	}
	return min(all, until)
}

// gatherMore says until when a rebalance lasts whose wait is over: for one more delay if somebody has come meanwhile, else
// until those have joined that it knows of.
func (c *Coordinator) gatherMore(now Instant, g *group) (until time.Duration) {
	w := &g.gathering
	if w.active = w.grew; w.active {
		w.grew = false
		return min(w.until, now.Monotonic+c.config.InitialRebalanceDelay)
	}
	return w.until
}

// arrived notes that a client wants to be a member. The first one is not alone any more, and waits the whole delay from
// its beginning.
func (c *Coordinator) arrived(g *group) {
	w := &g.gathering
	w.grew = true
	if w.active && w.alone {
		w.alone = false
		c.timers.start(&g.phase, min(w.until, w.young))
		w.young = 0
	}
}
