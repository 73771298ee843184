package group

import (
	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

// rebalance begins a rebalance, if none is under way, and ends it if all members have joined.
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
		mark.Hit("a rebalance began before members had their assignments")
		for m := range g.list.All() {
			c.answerSync(m, wire.CodeRebalanceInProgress)
		}
	}
	g.become(Preparing)
	c.timers.start(&g.phase, c.gather(now, g, fromEmpty))
}

// rebalanceStep ends a rebalance that waits for nobody.
func (c *Coordinator) rebalanceStep(now Instant, g *group) {
	if g.state == Preparing && (!g.gathering.active || g.list.Len() == 0) && g.joining == g.list.Len() && g.awaited == 0 {
		c.endRebalance(now, g)
	}
}

// phaseEnd wakes a group when it has waited long enough for its members.
type phaseEnd struct{ group *group }

func (p phaseEnd) fire(c *Coordinator, now Instant) {
	p.group.mustExist()
	switch g := p.group; g.state {
	case Preparing:
		if g.gathering.active && now.Monotonic < g.gathering.until {
			c.gathered(now, g)
			return
		}
		c.endRebalance(now, g)
	case Completing, Stable:
		c.dropUnsynced(now, g)
	}
}

// endRebalance begins the next generation with the members that have joined. Static members stay without joining until
// their session ends.
func (c *Coordinator) endRebalance(now Instant, g *group) {
	g.gathering.active = false
	c.work += g.list.Len()
	for m := range g.list.All() {
		if !m.join.waits && !m.static() {
			mark.Hit("a member did not join again in time and was removed")
			c.removeMember(g, m)
		}
	}
	switch {
	case g.list.Len() == 0:
		c.becomeEmpty(now, g)
		return
	case g.joining == 0:
		mark.Hit("a rebalance waited for static members alone")
		// Only static members are left, and none is back: this ends with their sessions, or when one joins.
		c.timers.start(&g.phase, now.Monotonic+max(g.rebalanceTimeout(), c.config.MinSessionTimeout))
		return
	}
	g.electLeader()
	g.nextGeneration()
	g.become(Completing)
	g.protocol, g.awaitingSync = g.vote(), 0
	c.timers.start(&g.phase, now.Monotonic+g.rebalanceTimeout())
	for m := range g.list.All() {
		was := m.size()
		m.assignment = nil
		c.resize(m, was)
		if m.awaitingSync = m.join.waits; !m.awaitingSync {
			continue
		}
		g.awaitingSync++
		w := m.join.take()
		g.joining--
		c.unbind(m)
		m.joinedOnce = true
		m.alive(now)
		c.timers.start(&m.session, m.aliveUntil)
		c.replyJoined(g, m, w, g.leader)
	}
}

// dropUnsynced removes the members that joined but did not sync in time.
func (c *Coordinator) dropUnsynced(now Instant, g *group) {
	dropped := false
	for m := range g.list.All() {
		if m.awaitingSync {
			mark.Hit("a member did not come for its assignment and was removed")
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
	g.nextGeneration()
	g.become(Empty)
	g.protocol, g.leader = "", ""
	mark.Hit("a group lost its last member")
	g.emptySinceMillis = now.UnixMillis
	c.timers.stop(&g.phase)
	c.persistMembership(g)
	c.timers.stop(&g.expiry)
	c.scheduleExpiry(g, now)
}

// removeMember forgets a member. The caller rebalances the group.
func (c *Coordinator) removeMember(g *group, m *member) {
	c.answerJoin(g, m, wire.CodeUnknownMemberID, m.id)
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
