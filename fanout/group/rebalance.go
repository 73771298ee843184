package group

import "oneplusn/fanout/wire"

// rebalance makes all members join again, if they have not been told to yet, and ends that if all have.
func (c *Coordinator) rebalance(now Instant, g *group) {
	if g.state != Preparing {
		c.beginRebalance(now, g)
	}
	c.rebalanceStep(now, g)
}

func (c *Coordinator) beginRebalance(now Instant, g *group) {
	c.counts.Rebalances++
	if g.state == Completing {
		for _, m := range g.list {
			c.answerSync(m, wire.CodeRebalanceInProgress)
		}
	}
	g.initial = g.state == Empty && c.config.InitialRebalanceDelay > 0
	g.state = Preparing
	until := now.Monotonic + g.rebalanceTimeout()
	if g.initial {
		g.grew, g.initialUntil = false, until
		until = min(until, now.Monotonic+c.config.InitialRebalanceDelay)
	}
	c.timers.stop(&g.expiry)
	c.timers.start(&g.phase, until)
}

// rebalanceStep ends a rebalance for which nobody else has to be waited for.
func (c *Coordinator) rebalanceStep(now Instant, g *group) {
	if g.state == Preparing && !g.initial && g.joining == len(g.list) && len(g.pending) == 0 {
		c.endRebalance(now, g)
	}
}

// phaseEnd wakes a group when it has waited long enough for its members.
type phaseEnd struct{ group *group }

func (p phaseEnd) fire(c *Coordinator, now Instant) {
	switch g := p.group; g.state {
	case Preparing:
		if g.initial && g.grew && now.Monotonic < g.initialUntil {
			g.grew = false
			c.timers.start(&g.phase, min(g.initialUntil, now.Monotonic+c.config.InitialRebalanceDelay))
			return
		}
		c.endRebalance(now, g)
	case Completing, Stable:
		c.dropThoseThatOweSync(now, g)
	}
}

// endRebalance begins the next generation with the members that have joined. Static members stay without joining, until
// their session is over.
func (c *Coordinator) endRebalance(now Instant, g *group) {
	g.initial = false
	for i := len(g.list) - 1; i >= 0; i-- {
		if m := g.list[i]; !m.join.waits && !m.static() {
			c.removeMember(g, m)
		}
	}
	switch {
	case len(g.list) == 0:
		c.becomeEmpty(now, g)
		return
	case g.joining == 0:
		// Only static members are left and none has come back: their sessions end this, or one of them does.
		c.timers.start(&g.phase, now.Monotonic+max(g.rebalanceTimeout(), c.config.MinSessionTimeout))
		return
	}
	g.electLeader()
	g.generation++
	g.protocol = g.vote()
	g.state, g.owing = Completing, 0
	c.timers.start(&g.phase, now.Monotonic+g.rebalanceTimeout())
	for _, m := range g.list {
		m.assignment = nil
		if m.owesSync = m.join.waits; !m.owesSync {
			continue
		}
		g.owing++
		w := m.join
		m.join, m.fresh = waiter{}, false
		g.joining--
		m.alive(now)
		c.timers.start(&m.session, m.aliveUntil)
		c.replyJoined(g, m, w)
	}
}

// dropThoseThatOweSync removes members that joined and did not come for their assignment in time.
func (c *Coordinator) dropThoseThatOweSync(now Instant, g *group) {
	dropped := false
	for i := len(g.list) - 1; i >= 0; i-- {
		if m := g.list[i]; m.owesSync {
			c.counts.Expired++
			c.removeMember(g, m)
			dropped = true
		}
	}
	if dropped {
		c.rebalance(now, g)
	}
}

// becomeEmpty ends the last generation of a group.
func (c *Coordinator) becomeEmpty(now Instant, g *group) {
	g.state = Empty
	g.generation++
	g.protocol, g.leader = "", ""
	g.emptySinceMillis = now.UnixMillis
	c.timers.stop(&g.phase)
	c.keepMembership(g)
	c.scheduleExpiry(g, now)
}

// removeMember forgets a member; what that means for the group is the caller's.
func (c *Coordinator) removeMember(g *group, m *member) {
	c.answerJoin(g, m, wire.CodeUnknownMemberID)
	c.answerSync(m, wire.CodeUnknownMemberID)
	c.timers.stop(&m.session)
	c.cameToSync(g, m)
	g.remove(m)
	c.release(m.counted)
	c.counts.Members--
}

// leave removes a member and rebalances what is left of the group.
func (c *Coordinator) leave(g *group, m *member, now Instant) {
	c.removeMember(g, m)
	c.rebalance(now, g)
}
