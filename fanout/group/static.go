package group

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// replaceStatic lets the client that comes back under a known instance id (KIP-345) take the place of the member that
// had it: with a member id of its own, so that the old one is fenced, and with the old one's assignment. A stable group
// is not rebalanced for it, unless it wants other topics or the group would choose another protocol.
func (c *Coordinator) replaceStatic(now Instant, g *group, m *member, from Client, req *kmsg.JoinGroupRequest) int16 {
	if !g.accepts(req.ProtocolType, req.Protocols, m) {
		return wire.CodeInconsistentGroupProtocol
	}
	topics := m.topics(g.protocol)
	old := m.id
	if code := c.update(m, req, c.config.NewMemberID(from.ID), from); code != 0 {
		return code
	}
	if m.join.waits { // told of the id that it knows
		c.replyJoin(m.join.ticket, m.join.version, wire.CodeFencedInstanceID, old)
		m.join = waiter{}
		g.joining--
	}
	c.answerSync(m, wire.CodeFencedInstanceID)
	oldLeader := g.leader
	if g.leader == old {
		g.leader = m.id
	}
	m.alive(now)
	c.timers.start(&m.session, m.aliveUntil)
	if g.state == Stable && g.vote() == g.protocol && sameTopics(topics, m.topics(g.protocol)) {
		c.keepMembership(g)
		resp := kmsg.NewPtrJoinGroupResponse()
		resp.SetVersion(req.Version)
		resp.Generation, resp.MemberID = g.generation, m.id
		resp.ProtocolType, resp.Protocol = kmsg.StringPtr(g.protocolType), kmsg.StringPtr(g.protocol)
		// A returning leader is told the id that the leader had: it would assign partitions otherwise, and nobody
		// would hear of that assignment.
		resp.LeaderID = oldLeader
		c.reply(from.Ticket, resp)
		return 0
	}
	c.waitForJoin(g, m, from.Ticket, req.Version)
	c.rebalance(now, g)
	return 0
}

// sameTopics compares subscriptions, whose order says nothing.
func sameTopics(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
