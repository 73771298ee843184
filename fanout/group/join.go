package group

import (
	"bytes"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

const (
	// memberIDRequiredFrom is the version from which on a client without an id is sent away with one (KIP-394), so
	// that one that gives up and tries again does not leave members behind that nobody speaks for.
	memberIDRequiredFrom = 4
	// newMemberTimeout bounds how long a member is kept whose first rebalance does not end, as in Apache Kafka.
	newMemberTimeout = 5 * time.Minute
	// maxProtocols bounds the protocols of one member, which are compared with each other. Clients have up to five.
	maxProtocols = 100
)

// JoinGroup makes a client a member of the coming generation.
func (c *Coordinator) JoinGroup(now Instant, from Client, req *kmsg.JoinGroupRequest) {
	refuse := func(code int16) { c.replyJoin(from.Ticket, req.Version, code, req.MemberID) }
	if code := c.checkJoin(req); code != 0 {
		refuse(code)
		return
	}
	g := c.groups.get(req.Group)
	if g == nil {
		if req.MemberID != "" {
			refuse(wire.CodeUnknownMemberID)
			return
		}
		var code int16
		if g, code = c.addGroup(req.Group, now); code != 0 {
			refuse(code)
			return
		}
	}
	if code := c.join(now, g, from, req); code != 0 {
		refuse(code)
	}
	c.scheduleExpiry(g, now)
}

// checkJoin is what can be wrong with a request whatever the group.
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
	instance := given(req.InstanceID)
	if req.MemberID == "" {
		if instance != nil && g.instances.get(*instance) != nil {
			return c.replaceStatic(now, g, g.instances.get(*instance), from, req)
		}
		return c.joinNew(now, g, from, req, instance)
	}
	if p := g.pending.get(req.MemberID); p != nil {
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

// joinNew takes a client without an id: it gets one and joins, or is told to join with it.
func (c *Coordinator) joinNew(now Instant, g *group, from Client, req *kmsg.JoinGroupRequest, instance *string) int16 {
	if !g.accepts(req.ProtocolType, req.Protocols, nil) {
		return wire.CodeInconsistentGroupProtocol
	}
	if g.list.n+g.pending.len() >= c.config.MaxMembers {
		c.counts.Refused++
		return wire.CodeGroupMaxSizeReached
	}
	if instance != nil || req.Version < memberIDRequiredFrom {
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

// addMember makes a member that waits for the rebalance's end.
func (c *Coordinator) addMember(now Instant, g *group, id string, instance *string, from Client, req *kmsg.JoinGroupRequest) int16 {
	m := &member{group: g, id: id, clientID: from.ID, clientHost: from.Host, fresh: true}
	if instance != nil {
		m.instanceID = *instance
	}
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

// take notes what a member says of itself when it joins.
func (m *member) take(req *kmsg.JoinGroupRequest) {
	m.sessionTimeout = millis(req.SessionTimeoutMillis)
	m.rebalanceTimeout = millis(req.RebalanceTimeoutMillis)
	if req.Version == 0 || m.rebalanceTimeout <= 0 {
		m.rebalanceTimeout = m.sessionTimeout // version 0 has no other
	}
	// Copies: slices of the request would keep all of it.
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
	switch {
	case g.state == Completing && same:
		// Its answer got lost: it gets it again, and the assignment is still to come.
		c.replyJoined(g, m, waiter{ticket: from.Ticket, version: req.Version})
		return 0
	case g.state == Stable && same && m.id != g.leader:
		// Only the leader, who knows more than its subscription shows, rebalances a group without a visible reason.
		c.replyJoined(g, m, waiter{ticket: from.Ticket, version: req.Version})
		return 0
	}
	if code := c.update(m, req, m.id, Client{ID: m.clientID, Host: m.clientHost}); code != 0 {
		return code
	}
	c.waitForJoin(g, m, from.Ticket, req.Version)
	c.rebalance(now, g)
	return 0
}

// update takes what a member says of itself, and the id that it has from now on, if there is memory for it.
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
	if g.list.n == 1 {
		c.setProtocolType(g, req.ProtocolType)
	}
	return 0
}

// waitForJoin lets a member's request wait for the rebalance's end. One that waited already, whose client has given it
// up, is answered so that its connection is not held up.
func (c *Coordinator) waitForJoin(g *group, m *member, ticket uint64, version int16) {
	c.answerJoin(g, m, wire.CodeRebalanceInProgress)
	m.join = waiter{waits: true, ticket: ticket, version: version}
	g.joining++
	if m.fresh && !m.static() {
		c.bind(m, ticket)
	}
}

// answerJoin answers a member's waiting JoinGroup with an error. Without one that waits it does nothing.
func (c *Coordinator) answerJoin(g *group, m *member, code int16) {
	if !m.join.waits {
		return
	}
	w := m.join
	m.join = waiter{}
	g.joining--
	c.replyJoin(w.ticket, w.version, code, m.id)
}

func (c *Coordinator) replyJoin(ticket uint64, version, code int16, memberID string) {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.SetVersion(version)
	resp.ErrorCode, resp.Generation, resp.MemberID = code, -1, memberID
	c.reply(ticket, resp)
}

// replyJoined tells a member of its generation, and the leader of all members.
func (c *Coordinator) replyJoined(g *group, m *member, w waiter) {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.SetVersion(w.version)
	resp.Generation, resp.MemberID, resp.LeaderID = g.generation, m.id, g.leader
	resp.ProtocolType, resp.Protocol = kmsg.StringPtr(g.protocolType), kmsg.StringPtr(g.protocol)
	if m.id == g.leader {
		resp.Members = make([]kmsg.JoinGroupResponseMember, 0, g.list.n)
		for other := range g.list.all() {
			r := kmsg.NewJoinGroupResponseMember()
			r.MemberID, r.InstanceID = other.id, stringOrNull(other.instanceID)
			r.ProtocolMetadata = other.metadata(g.protocol)
			resp.Members = append(resp.Members, r)
		}
	}
	c.reply(w.ticket, resp)
}

func millis(n int32) time.Duration { return time.Duration(n) * time.Millisecond }

// given is nil for an empty string too.
func given(s *string) *string {
	if s == nil || *s == "" {
		return nil
	}
	return s
}

func stringOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
