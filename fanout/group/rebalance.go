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
	fromEmpty := g.state == Empty
	if g.state == Completing {
		for m := range g.list.all() {
			c.answerSync(m, wire.CodeRebalanceInProgress)
		}
	}
	g.state = Preparing
	c.timers.start(&g.phase, c.gather(now, g, fromEmpty))
}

// rebalanceStep ends a rebalance for which nobody else has to be waited for.
func (c *Coordinator) rebalanceStep(now Instant, g *group) {
	if g.state == Preparing && (!g.gathering.active || g.list.n == 0) && g.joining == g.list.n && g.awaited == 0 {
		c.endRebalance(now, g)
	}
}

// phaseEnd wakes a group when it has waited long enough for its members.
type phaseEnd struct{ group *group }

func (p phaseEnd) fire(c *Coordinator, now Instant) {
	switch g := p.group; g.state {
	case Preparing:
		if g.gathering.active && now.Monotonic < g.gathering.until {
			c.gathered(now, g)
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
	g.gathering.active = false
	c.work += g.list.n
	for m := range g.list.all() {
		if !m.join.waits && !m.static() {
			c.removeMember(g, m)
		}
	}
	switch {
	case g.list.n == 0:
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
	for m := range g.list.all() {
		was := m.size()
		m.assignment = nil
		c.resize(m, was)
		if m.owesSync = m.join.waits; !m.owesSync {
			continue
		}
		g.owing++
		w := m.join
		c.unbind(m)
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
	for m := range g.list.all() {
		if m.owesSync {
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
	c.timers.stop(&g.expiry)
	c.scheduleExpiry(g, now)
}

// removeMember forgets a member; what that means for the group is the caller's.
func (c *Coordinator) removeMember(g *group, m *member) {
	c.answerJoin(g, m, wire.CodeUnknownMemberID)
	c.answerSync(m, wire.CodeUnknownMemberID)
	c.timers.stop(&m.session)
	c.cameToSync(g, m)
	c.unbind(m)
	g.remove(m)
	c.shed(m)
	c.counts.Members--
}

// leave removes a member and rebalances what is left of the group.
func (c *Coordinator) leave(g *group, m *member, now Instant) {
	c.removeMember(g, m)
	c.rebalance(now, g)
}
