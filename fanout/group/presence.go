package group

import (
	"time"

	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

const (
	// pendingWait is the longest time that a pending id delays a rebalance: its client has to send just one more request. Apache
	// Kafka waits for the client's session timeout.
	pendingWait = 2 * time.Second
	// maxPendingPerClient bounds the pending ids of one connection: one more drops the oldest.
	maxPendingPerClient = 64
)

// pending is a member id that was handed to a client which has not joined with it yet (KIP-394).
type pending struct {
	group  *group
	id     string
	ticket uint64 // of the connection that got it
	timer  timer
	until  time.Duration // when it expires
	// awaited: a rebalance waits for it.
	awaited bool
	older   *pending // the one that its connection got before
}

// presence holds the pending ids and the first JoinGroup of a connection. Once it is closed, no rebalance waits for them.
type presence struct {
	newest *pending
	ids    int
	// joining is the member whose first JoinGroup waits on the connection.
	joining *member
}

// handOut makes a pending id, if there is memory for it.
func (c *Coordinator) handOut(now Instant, g *group, from Client, session time.Duration) (id string, code int16) {
	p := &pending{group: g, id: c.config.NewMemberID(from.ID), ticket: from.Ticket, until: now.Monotonic + session}
	if !take(c.budget, p.bytes()) {
		return "", c.counts.refused(wire.CodePolicyViolation)
	}
	p.timer.owner = p
	p.awaited = true
	g.awaited++
	g.pending.put(p.id, p)
	c.timers.start(&p.timer, min(p.until, now.Monotonic+pendingWait))
	at := c.presenceOf(p.ticket)
	p.older, at.newest = at.newest, p
	if at.ids++; at.ids > maxPendingPerClient {
		mark.Hit("a connection held too many member ids")
		c.dropPending(at.oldest(), now)
	}
	return p.id, 0
}

func (c *Coordinator) presenceOf(ticket uint64) *presence {
	at := c.present.get(ticket)
	if at == nil {
		at = new(presence)
		c.present.put(ticket, at)
	}
	return at
}

func (at *presence) oldest() *pending {
	p := at.newest
	for p.older != nil {
		p = p.older
	}
	return p
}

// unlinkPending removes the id from its connection's list.
func (c *Coordinator) unlinkPending(p *pending) {
	at := c.present.get(p.ticket)
	for link := &at.newest; *link != nil; link = &(*link).older {
		if *link == p {
			*link, p.older = p.older, nil
			at.ids--
			break
		}
	}
	c.dropPresence(p.ticket, at)
}

func (c *Coordinator) dropPresence(ticket uint64, at *presence) {
	if at.newest == nil && at.joining == nil {
		c.present.remove(ticket)
	}
}

// stopAwaiting lets rebalances end without the id. It can still be used.
func (p *pending) stopAwaiting() {
	if p.awaited {
		p.awaited = false
		p.group.awaited--
	}
}

// forgetPending removes an id that was used, or never will be used.
func (c *Coordinator) forgetPending(p *pending) {
	p.stopAwaiting()
	c.timers.stop(&p.timer)
	p.group.pending.remove(p.id)
	c.unlinkPending(p)
	c.budget.Give(p.bytes())
}

// dropPending forgets an unused id, which a rebalance may have waited for.
func (c *Coordinator) dropPending(p *pending, now Instant) {
	c.forgetPending(p)
	c.rebalanceStep(now, p.group)
	c.scheduleExpiry(p.group, now)
}

// fire implements alarm: first rebalances stop waiting for the id, then it expires.
func (p *pending) fire(c *Coordinator, now Instant) {
	if p.until > now.Monotonic {
		mark.HitIf(p.awaited, "a rebalance stopped to wait for a member id that was handed out")
		c.timers.start(&p.timer, p.until)
		p.stopAwaiting()
		c.rebalanceStep(now, p.group)
		return
	}
	c.dropPending(p, now)
}

// Disconnected is called when the connection of a ticket is closed. Its pending ids are forgotten, and so is the member whose
// first JoinGroup waits on it: the client does not know its id, and comes back as another. A member that has been in a
// generation stays until its session ends.
func (c *Coordinator) Disconnected(now Instant, ticket uint64) {
	at := c.present.get(ticket)
	if at == nil {
		return
	}
	for at.newest != nil {
		mark.Hit("a client left with a member id that it had not used")
		c.dropPending(at.newest, now)
	}
	if m := at.joining; m != nil {
		mark.Hit("a client left before its first generation")
		c.leave(m.group, m, now)
	}
}

// bind ties a new member to the connection that its first JoinGroup waits on.
func (c *Coordinator) bind(m *member, ticket uint64) {
	c.unbind(m)
	c.presenceOf(ticket).joining = m
	m.bound = ticket
}

// unbind undoes bind: the member is in a generation, or gone.
func (c *Coordinator) unbind(m *member) {
	if at := c.present.get(m.bound); at != nil && at.joining == m {
		at.joining = nil
		c.dropPresence(m.bound, at)
	}
}
