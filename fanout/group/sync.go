package group

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

// SyncGroup gives a member its assignment; the leader's request brings it.
func (c *Coordinator) SyncGroup(now Instant, from Client, req *kmsg.SyncGroupRequest) {
	c.queue.asked(from.Ticket)
	g, m, code := c.member(req.Group, req.MemberID, textOf(req.InstanceID), req.Generation)
	if code == 0 && g.state == Preparing {
		mark.Hit("a member came for its assignment while the group rebalances again")
		code = wire.CodeRebalanceInProgress
	}
	if code != 0 {
		c.replySync(from.Ticket, req.Version, code, nil)
		return
	}
	m.alive(now)
	c.cameToSync(g, m)
	if g.state == Stable {
		c.replySync(from.Ticket, req.Version, 0, m.assignment)
		return
	}
	c.answerSync(m, wire.CodeRebalanceInProgress) // an earlier one that its client has given up
	m.sync = waiter{waits: true, ticket: from.Ticket, version: req.Version}
	if m.id != g.leader {
		return
	}
	if code := c.assign(now, g, req.GroupAssignment); code != 0 {
		c.answerSync(m, code)
	}
}

// assign stores the leader's assignment and answers the members that wait for it.
func (c *Coordinator) assign(now Instant, g *group, assignment []kmsg.SyncGroupRequestGroupAssignment) int16 {
	var more int64
	for i := range assignment {
		if g.members.get(assignment[i].MemberID) != nil {
			more += held(len(assignment[i].MemberAssignment))
		}
	}
	if !g.fits(more, c.config.MaxRecordBytes) || !take(c.budget, more) {
		mark.Hit("an assignment was too large")
		return c.counts.refused(wire.CodePolicyViolation)
	}
	c.budget.Give(more) // resize charges it; it is less if a member is named twice
	for i := range assignment {
		if m := g.members.get(assignment[i].MemberID); m != nil {
			was := m.size()
			// A copy: the slice would keep all of the request.
			m.assignment = bytes.Clone(assignment[i].MemberAssignment)
			c.resize(m, was)
		}
	}
	g.become(Stable)
	c.persistMembership(g)
	for m := range g.list.All() {
		if !m.sync.waits {
			continue
		}
		w := m.sync.take()
		m.alive(now)
		c.replySync(w.ticket, w.version, 0, m.assignment)
	}
	if g.awaitingSync == 0 {
		c.timers.stop(&g.phase)
	}
	c.scheduleExpiry(g, now)
	return 0
}

// cameToSync stops waiting for a member that has sent SyncGroup, or never will. After the last one of a stable group the
// timer stops.
func (c *Coordinator) cameToSync(g *group, m *member) {
	if !m.awaitingSync {
		return
	}
	m.awaitingSync = false
	if g.awaitingSync--; g.awaitingSync == 0 && g.state == Stable {
		c.timers.stop(&g.phase)
	}
}

// answerSync answers a member's SyncGroup with an error, if one waits.
func (c *Coordinator) answerSync(m *member, code int16) {
	if m.sync.waits {
		w := m.sync.take()
		c.replySync(w.ticket, w.version, code, nil)
	}
}

func (c *Coordinator) replySync(ticket uint64, version, code int16, assignment []byte) {
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.SetVersion(version)
	resp.ErrorCode, resp.MemberAssignment = code, assignment
	c.reply(ticket, resp)
}

// Heartbeat extends a member's session. The answer tells whether to join again.
func (c *Coordinator) Heartbeat(now Instant, from Client, req *kmsg.HeartbeatRequest) {
	c.queue.asked(from.Ticket)
	resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
	g, m, code := c.member(req.Group, req.MemberID, textOf(req.InstanceID), req.Generation)
	if code == 0 {
		m.alive(now)
		if g.state == Preparing {
			mark.Hit("a member learnt of a rebalance by its heartbeat")
			code = wire.CodeRebalanceInProgress
		}
	}
	resp.ErrorCode = code
	c.reply(from.Ticket, resp)
}

// member finds the member that a request of a generation names, or the error that makes its client join again.
func (c *Coordinator) member(groupID, memberID string, instance string, generation int32) (*group, *member, int16) {
	if code := c.checkGroup(groupID, false); code != 0 {
		return nil, nil, code
	}
	g := c.groups.get(groupID)
	if g == nil {
		return nil, nil, wire.CodeUnknownMemberID
	}
	m, code := g.find(memberID, instance)
	if code != 0 {
		return g, nil, code
	}
	if generation != g.generation {
		mark.Hit("a request of another generation was refused")
		return g, nil, wire.CodeIllegalGeneration
	}
	return g, m, 0
}
