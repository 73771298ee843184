package group

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// SyncGroup gives a member its assignment; the leader's request brings it.
func (c *Coordinator) SyncGroup(now Instant, from Client, req *kmsg.SyncGroupRequest) {
	g, m, code := c.member(req.Group, req.MemberID, given(req.InstanceID), req.Generation)
	if code == 0 && g.state == Preparing {
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
	c.answerSync(m, wire.CodeRebalanceInProgress) // one that its client has given up
	m.sync = waiter{waits: true, ticket: from.Ticket, version: req.Version}
	if m.id != g.leader {
		return
	}
	if code := c.assign(now, g, req.GroupAssignment); code != 0 {
		c.answerSync(m, code)
	}
}

// assign takes the leader's assignment and hands it to all who wait for it.
func (c *Coordinator) assign(now Instant, g *group, assignment []kmsg.SyncGroupRequestGroupAssignment) int16 {
	var more int64
	for i := range assignment {
		if g.members.get(assignment[i].MemberID) != nil {
			more += held(len(assignment[i].MemberAssignment))
		}
	}
	if !c.fits(g, more) || !c.budget.take(more) {
		c.counts.Refused++
		return wire.CodePolicyViolation
	}
	c.budget.give(more) // the members take it over; it is less if one is named twice
	for i := range assignment {
		if m := g.members.get(assignment[i].MemberID); m != nil {
			was := m.size()
			// A copy: it would keep all of the request, which may be larger by what nobody is given.
			m.assignment = bytes.Clone(assignment[i].MemberAssignment)
			c.resize(m, was)
		}
	}
	g.state = Stable
	c.keepMembership(g)
	for m := range g.list.all() {
		if !m.sync.waits {
			continue
		}
		w := m.sync
		m.sync = waiter{}
		m.alive(now)
		c.replySync(w.ticket, w.version, 0, m.assignment)
	}
	if g.owing == 0 {
		c.timers.stop(&g.phase)
	}
	c.scheduleExpiry(g, now)
	return 0
}

// cameToSync notes that a member has come for its assignment, or never will. When all have and the assignment is there,
// nobody is waited for any more.
func (c *Coordinator) cameToSync(g *group, m *member) {
	if !m.owesSync {
		return
	}
	m.owesSync = false
	if g.owing--; g.owing == 0 && g.state == Stable {
		c.timers.stop(&g.phase)
	}
}

// answerSync answers a member's waiting SyncGroup with an error. Without one that waits it does nothing.
func (c *Coordinator) answerSync(m *member, code int16) {
	if !m.sync.waits {
		return
	}
	w := m.sync
	m.sync = waiter{}
	c.replySync(w.ticket, w.version, code, nil)
}

func (c *Coordinator) replySync(ticket uint64, version, code int16, assignment []byte) {
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.SetVersion(version)
	resp.ErrorCode, resp.MemberAssignment = code, assignment
	if resp.MemberAssignment == nil {
		resp.MemberAssignment = []byte{}
	}
	c.reply(ticket, resp)
}

// Heartbeat says that a member is alive, and is told whether it has to join again.
func (c *Coordinator) Heartbeat(now Instant, from Client, req *kmsg.HeartbeatRequest) {
	resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
	g, m, code := c.member(req.Group, req.MemberID, given(req.InstanceID), req.Generation)
	if code == 0 {
		m.alive(now)
		if g.state == Preparing {
			code = wire.CodeRebalanceInProgress
		}
	}
	resp.ErrorCode = code
	c.reply(from.Ticket, resp)
}

// member is the one that a request of a generation speaks of, or the error that makes its client join again.
func (c *Coordinator) member(groupID, memberID string, instance *string, generation int32) (*group, *member, int16) {
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
		return g, nil, wire.CodeIllegalGeneration
	}
	return g, m, 0
}
