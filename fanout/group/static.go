package group

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

// replaceStatic lets a client with a known instance id (KIP-345) take the place and the assignment of the member that had
// it. The new member id fences the old one. A stable group rebalances only if the client subscribes to other topics or the
// group would choose another protocol.
func (c *Coordinator) replaceStatic(now Instant, g *group, m *member, from Client, req *kmsg.JoinGroupRequest) int16 {
	if !g.accepts(req.ProtocolType, req.Protocols, m) {
		return wire.CodeInconsistentGroupProtocol
	}
	topics := m.topics(g.protocol)
	old := m.id
	if code := c.update(m, req, c.config.NewMemberID(from.ID), from); code != 0 {
		return code
	}
	c.answerJoin(g, m, wire.CodeFencedInstanceID, old)
	c.answerSync(m, wire.CodeFencedInstanceID)
	mark.Hit("a static member came back in place of its last instance")
	oldLeader := g.leader
	if g.leader == old {
		g.leader = m.id
	}
	m.alive(now)
	c.timers.start(&m.session, m.aliveUntil)
	if g.state == Stable && g.vote() == g.protocol && sameTopics(topics, m.topics(g.protocol)) {
		mark.HitIf(oldLeader == old, "a static leader came back without a rebalance")
		c.persistMembership(g)
		// A returning leader gets the old leader's id: it must not believe that it leads, and compute an assignment that
		// nobody receives.
		c.replyJoined(g, m, waiter{ticket: from.Ticket, version: req.Version}, oldLeader)
		return 0
	}
	c.waitForJoin(g, m, from.Ticket, req.Version)
	c.rebalance(now, g)
	return 0
}

// sameTopics compares subscriptions regardless of their order.
func sameTopics(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
