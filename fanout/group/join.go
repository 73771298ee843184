package group

import (
	"bytes"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

const (
	// memberIDRequiredFrom is the first version in which a client without an id gets one and has to join again with it
	// (KIP-394). So a client that retries leaves no orphaned members behind.
	memberIDRequiredFrom = 4
	// newMemberTimeout bounds a member's first rebalance, as in Apache Kafka.
	newMemberTimeout = 5 * time.Minute
	// maxProtocols bounds the protocols of one member: comparing them is quadratic. Clients have up to five.
	maxProtocols = 100
)

// JoinGroup makes a client a member of the coming generation.
func (c *Coordinator) JoinGroup(now Instant, from Client, req *kmsg.JoinGroupRequest) {
	c.queue.asked(from.Ticket)
	g, code := c.groups.get(req.Group), c.checkJoin(req)
	switch {
	case code != 0:
	case g == nil && req.MemberID != "":
		mark.Hit("a member of a group that is not there joined")
		code = wire.CodeUnknownMemberID
	case g == nil:
		g, code = c.addGroup(req.Group, now)
	}
	if code == 0 {
		code = c.join(now, g, from, req)
		c.scheduleExpiry(g, now)
	}
	if code != 0 {
		c.replyJoin(from.Ticket, req.Version, code, req.MemberID)
	}
}

// checkJoin is the error that does not depend on the group's state, or 0.
func (c *Coordinator) checkJoin(req *kmsg.JoinGroupRequest) int16 {
	session := millis(req.SessionTimeoutMillis)
	code := c.checkGroup(req.Group, false)
	switch {
	case code != 0:
		return code
	case session < c.config.MinSessionTimeout || session > c.config.MaxSessionTimeout:
		return wire.CodeInvalidSessionTimeout
	case req.ProtocolType == "" || len(req.Protocols) == 0 || len(req.Protocols) > maxProtocols:
		return wire.CodeInconsistentGroupProtocol
	}
	return 0
}

func (c *Coordinator) join(now Instant, g *group, from Client, req *kmsg.JoinGroupRequest) int16 {
	instance := textOf(req.InstanceID)
	if req.MemberID == "" {
		if m := g.instances.get(instance); m != nil {
			return c.replaceStatic(now, g, m, from, req)
		}
		return c.joinNew(now, g, from, req, instance)
	}
	if p := g.pending.get(req.MemberID); p != nil {
		mark.Hit("a client joined with the member id that it was given")
		if g.instances.get(instance) != nil { // it came without one when it got the id
			return wire.CodeFencedInstanceID
		}
		if !g.accepts(req.ProtocolType, req.Protocols, nil) {
			return wire.CodeInconsistentGroupProtocol
		}
		if code := c.addMember(now, g, p.id, instance, from, req); code != 0 {
			return code
		}
		c.forgetPending(p)
		c.rebalance(now, g)
		return 0
	}
	m, code := g.find(req.MemberID, instance)
	if code != 0 {
		return code
	}
	return c.rejoin(now, g, m, from, req)
}

// joinNew gives a client its id. Depending on the version, the client joins with it at once or in another request.
func (c *Coordinator) joinNew(now Instant, g *group, from Client, req *kmsg.JoinGroupRequest, instance string) int16 {
	if !g.accepts(req.ProtocolType, req.Protocols, nil) {
		return wire.CodeInconsistentGroupProtocol
	}
	if g.list.Len()+g.pending.len() >= c.config.MaxMembers {
		mark.Hit("a group was full")
		return c.counts.refused(wire.CodeGroupMaxSizeReached)
	}
	if instance != "" || req.Version < memberIDRequiredFrom {
		code := c.addMember(now, g, c.config.NewMemberID(from.ID), instance, from, req)
		if code == 0 {
			c.rebalance(now, g)
		}
		return code
	}
	id, code := c.handOut(now, g, from, millis(req.SessionTimeoutMillis))
	if code != 0 {
		return code
	}
	c.arrived(now, g)
	c.replyJoin(from.Ticket, req.Version, wire.CodeMemberIDRequired, id)
	return 0
}

// addMember makes a member that waits for the end of the rebalance.
func (c *Coordinator) addMember(now Instant, g *group, id, instance string, from Client, req *kmsg.JoinGroupRequest) int16 {
	m := &member{group: g, id: id, instanceID: instance, clientID: from.ID, clientHost: from.Host}
	m.session.owner = m
	m.take(req)
	if code := c.admit(m, req.ProtocolType); code != 0 {
		return code
	}
	g.add(m)
	c.arrived(now, g)
	c.waitForJoin(g, m, from.Ticket, req.Version)
	m.aliveUntil = now.Monotonic + newMemberTimeout
	c.timers.start(&m.session, m.aliveUntil)
	return 0
}

// take copies a member's timeouts and protocols from its request: slices of the request would keep all of it.
func (m *member) take(req *kmsg.JoinGroupRequest) {
	m.sessionTimeout = millis(req.SessionTimeoutMillis)
	m.rebalanceTimeout = millis(req.RebalanceTimeoutMillis)
	if req.Version == 0 || m.rebalanceTimeout <= 0 {
		m.rebalanceTimeout = m.sessionTimeout // version 0 has no other
	}
	m.protocols = make([]kmsg.JoinGroupRequestProtocol, len(req.Protocols))
	for i := range req.Protocols {
		m.protocols[i] = kmsg.JoinGroupRequestProtocol{Name: req.Protocols[i].Name, Metadata: bytes.Clone(req.Protocols[i].Metadata)}
	}
}

// rejoin takes a member that joins again.
func (c *Coordinator) rejoin(now Instant, g *group, m *member, from Client, req *kmsg.JoinGroupRequest) int16 {
	if !g.accepts(req.ProtocolType, req.Protocols, m) {
		return wire.CodeInconsistentGroupProtocol
	}
	same := m.sameProtocols(req.Protocols)
	m.alive(now)
	if same && (g.state == Completing || g.state == Stable && m.id != g.leader) {
		mark.Hit("a member joined again and got the answer that was lost")
		// The answer got lost: repeat it. In a stable group only the leader rebalances without a visible change: it may have
		// seen new partitions.
		c.replyJoined(g, m, waiter{ticket: from.Ticket, version: req.Version}, g.leader)
		return 0
	}
	if code := c.update(m, req, m.id, Client{ID: m.clientID, Host: m.clientHost}); code != 0 {
		return code
	}
	c.waitForJoin(g, m, from.Ticket, req.Version)
	c.rebalance(now, g)
	return 0
}

// update gives a member its new id, client and protocols, if there is memory for them.
func (c *Coordinator) update(m *member, req *kmsg.JoinGroupRequest, id string, from Client) int16 {
	g, before := m.group, *m
	m.id, m.clientID, m.clientHost = id, from.ID, from.Host
	m.take(req)
	was, is := before.size(), m.size()
	grows := max(is.memory-was.memory, 0) + max(held(len(req.ProtocolType))-held(len(g.protocolType)), 0)
	if code := c.room(g, grows, is.record-was.record); code != 0 {
		*m = before
		return code
	}
	c.resize(m, was)
	g.members.remove(before.id)
	g.members.put(m.id, m)
	g.countSupport(&before, -1)
	g.countSupport(m, 1)
	if g.list.Len() == 1 {
		c.setProtocolType(g, req.ProtocolType)
	}
	return 0
}

// waitForJoin lets a member's request wait for the end of the rebalance. An earlier request that its client has given up
// is answered, so that it does not block its connection.
func (c *Coordinator) waitForJoin(g *group, m *member, ticket uint64, version int16) {
	mark.HitIf(m.join.waits, "a member joined again before its last request was answered")
	c.answerJoin(g, m, wire.CodeRebalanceInProgress, m.id)
	m.join = waiter{waits: true, ticket: ticket, version: version}
	g.joining++
	if !m.joinedOnce && !m.static() {
		c.bind(m, ticket)
	}
}

// answerJoin answers a member's JoinGroup with an error, if one waits. id is the one that its client knows.
func (c *Coordinator) answerJoin(g *group, m *member, code int16, id string) {
	if m.join.waits {
		w := m.join.take()
		g.joining--
		c.replyJoin(w.ticket, w.version, code, id)
	}
}

func (c *Coordinator) replyJoin(ticket uint64, version, code int16, memberID string) {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.SetVersion(version)
	resp.ErrorCode, resp.Generation, resp.MemberID = code, -1, memberID
	c.reply(ticket, resp)
}

// replyJoined tells a member its generation, and the leader all members.
func (c *Coordinator) replyJoined(g *group, m *member, w waiter, leader string) {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.SetVersion(w.version)
	resp.Generation, resp.MemberID, resp.LeaderID = g.generation, m.id, leader
	resp.ProtocolType, resp.Protocol = kmsg.StringPtr(g.protocolType), kmsg.StringPtr(g.protocol)
	if m.id == leader {
		resp.Members = make([]kmsg.JoinGroupResponseMember, 0, g.list.Len())
		for other := range g.list.All() {
			r := kmsg.NewJoinGroupResponseMember()
			r.MemberID, r.InstanceID = other.id, stringOrNull(other.instanceID)
			r.ProtocolMetadata = other.metadata(g.protocol)
			resp.Members = append(resp.Members, r)
		}
	}
	c.reply(w.ticket, resp)
}

func millis(n int32) time.Duration { return time.Duration(n) * time.Millisecond }

// textOf is "" for null.
func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func stringOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
