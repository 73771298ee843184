package group

import (
	"time"

	"oneplusn/fanout/wire"
)

const (
	// pendingWait is the longest that an id which was handed out and not used holds up a rebalance. Its client has
	// only to send one more request. Apache Kafka waits for the session timeout that was asked for.
	pendingWait = 2 * time.Second
	// maxPendingPerClient is how many ids one connection has pending: the oldest is forgotten for one more.
	maxPendingPerClient = 64
)

// pending is a member id that was handed out; its client is expected to join with it (KIP-394).
type pending struct {
	group  *group
	id     string
	ticket uint64 // of the connection that got it
	timer  timer
	until  time.Duration // when it is forgotten
	// awaited says that a rebalance does not end without it.
	awaited bool
	older   *pending // the one that its connection got before
}

// presence is what a connection stands for: when it is closed, nobody waits for that any more.
type presence struct {
	newest *pending
	ids    int
	// joining is the member whose first JoinGroup waits on the connection.
	joining *member
}

// handOut makes a pending id, if there is memory for it.
func (c *Coordinator) handOut(now Instant, g *group, from Client, session time.Duration) (id string, code int16) {
	p := &pending{group: g, id: c.config.NewMemberID(from.ID), ticket: from.Ticket, until: now.Monotonic + session}
	if !c.budget.take(p.bytes()) {
		c.counts.Refused++
		return "", wire.CodePolicyViolation
	}
	p.timer.owner = p
	p.awaited = true
	g.awaited++
	g.pending.put(p.id, p)
	c.timers.start(&p.timer, min(p.until, now.Monotonic+pendingWait))
	at := c.presenceOf(p.ticket)
	p.older, at.newest = at.newest, p
	if at.ids++; at.ids > maxPendingPerClient {
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

// unlinkPending takes the id off its connection's list.
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

// forgetPending takes a pending id away, because it was used or never will be.
func (c *Coordinator) forgetPending(p *pending) {
	p.stopAwaiting()
	c.timers.stop(&p.timer)
	p.group.pending.remove(p.id)
	c.unlinkPending(p)
	c.budget.give(p.bytes())
}

// dropPending forgets an id that was handed out and not used.
func (c *Coordinator) dropPending(p *pending, now Instant) {
	c.forgetPending(p)
	c.rebalanceStep(now, p.group)
	c.scheduleExpiry(p.group, now)
}

// fire implements alarm: the id has been waited for long enough, and then it is forgotten.
func (p *pending) fire(c *Coordinator, now Instant) {
	if p.until > now.Monotonic {
		c.timers.start(&p.timer, p.until)
		p.stopAwaiting()
		c.rebalanceStep(now, p.group)
		return
	}
	c.dropPending(p, now)
}

// Disconnected says that the connection of a ticket is closed. Ids that it was given are forgotten, and so is a member
// whose first JoinGroup waits on it: nobody has heard of that member yet, and its client comes back as another. A member
// that has been in a generation stays until its session is over.
func (c *Coordinator) Disconnected(now Instant, ticket uint64) {
	at := c.present.get(ticket)
	if at == nil {
		return
	}
	for at.newest != nil {
		c.dropPending(at.newest, now)
	}
	if m := at.joining; m != nil {
		c.leave(m.group, m, now)
	}
}

// bind has a member that is new forgotten with the connection that its first JoinGroup waits on.
func (c *Coordinator) bind(m *member, ticket uint64) {
	c.unbind(m)
	c.presenceOf(ticket).joining = m
	m.bound = ticket
}

// unbind undoes bind: the member has been through a rebalance, or is gone.
func (c *Coordinator) unbind(m *member) {
	if at := c.present.get(m.bound); at != nil && at.joining == m {
		at.joining = nil
		c.dropPresence(m.bound, at)
	}
}
