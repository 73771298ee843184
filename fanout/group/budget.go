package group

import (
	"fmt"

	"oneplusn/fanout/wire"
)

// budget is the memory that all groups hold together, as counted by the bytes methods of what they are made of. Whatever
// a client makes the coordinator hold is taken from it first: see [Coordinator.recount].
type budget struct {
	limit, used int64
}

// take takes memory, if there is enough.
func (b *budget) take(bytes int64) bool {
	if bytes > 0 && b.used+bytes > b.limit {
		return false
	}
	b.force(bytes)
	return true
}

// force takes memory whether or not there is enough: for what was accepted by an earlier process.
func (b *budget) force(bytes int64) {
	if b.used += bytes; b.used < 0 {
		panic(fmt.Sprintf("group: %d bytes are given back more than were taken", -b.used))
	}
}

func (b *budget) give(bytes int64) { b.force(-bytes) }

// What things take in memory beside the bytes that clients send: the structures, their entries in maps, the timers.
// Measured by TestChargedMemoryCoversTheHeap, and rounded up.
const (
	groupBytes    = 768
	memberBytes   = 896
	protocolBytes = 128
	pendingBytes  = 448
	offsetBytes   = 448
)

// held is what n bytes of a client's take: the allocator rounds up by an eighth at most.
func held(n int) int64 { return int64(n + n/8) }

func (g *group) bytes() int64 { return groupBytes + held(len(g.id)) + held(len(g.protocolType)) }

// bytes counts the id twice, since maps have it as a key, and a protocol's name twice, since a group counts its
// supporters by it.
func (m *member) bytes() int64 {
	n := memberBytes + held(2*len(m.id)+len(m.instanceID)+len(m.clientID)+len(m.clientHost)) + held(len(m.assignment))
	for i := range m.protocols {
		n += protocolBytes + 2*held(len(m.protocols[i].Name)) + held(len(m.protocols[i].Metadata))
	}
	return n
}

func (p *pending) bytes() int64 { return pendingBytes + held(len(p.id)) }

func (o *committed) bytes() int64 { return offsetBytes + held(len(o.at.topic)) + held(len(o.metadata)) }

// recount walks everything that is held, and adds up what it takes. It is what the budget must say at any time.
func (c *Coordinator) recount() (bytes int64) {
	for _, g := range c.groups.all {
		bytes += g.bytes()
		for m := range g.list.all() {
			bytes += m.bytes()
		}
		for _, p := range g.pending.all {
			bytes += p.bytes()
		}
		bytes += g.commits.bytes()
	}
	for _, l := range c.graves.lists {
		if l.which == byGroup { // those of a topic are on the lists of groups too
			bytes += l.bytes()
		}
	}
	for i := range c.trails { // what is dead is held until its tombstone is written
		for n := c.trails[i].first; n != nil; n = n.next {
			if n.dead {
				bytes += n.kept.bytes()
			}
		}
	}
	return bytes
}

func (l *offsetList) bytes() (bytes int64) {
	for o := l.first; o != nil; o = o.links[l.which].next {
		bytes += o.bytes()
	}
	return bytes
}

// size is what a member takes: of the budget, and of the record of its group's membership.
type size struct{ memory, record int64 }

func (m *member) size() size {
	const fixed = 64 // lengths, timeouts and what encodes a record
	record := fixed + len(m.id) + len(m.instanceID) + len(m.clientID) + len(m.clientHost) + len(m.assignment)
	subscription := 0
	for i := range m.protocols {
		subscription = max(subscription, len(m.protocols[i].Metadata))
	}
	return size{m.bytes(), int64(record + subscription)}
}

// fits says whether the record of a group's membership may grow.
func (c *Coordinator) fits(g *group, bytes int64) bool {
	return bytes <= 0 || c.config.MaxRecordBytes == 0 || g.record+bytes <= c.config.MaxRecordBytes
}

// room is the error of a group that is to take more memory and a larger record, or 0. It takes nothing.
func (c *Coordinator) room(g *group, memory, record int64) int16 {
	switch {
	case !c.fits(g, record):
		c.counts.Refused++
		return wire.CodeGroupMaxSizeReached
	case !c.budget.take(memory):
		c.counts.Refused++
		return wire.CodePolicyViolation
	}
	c.budget.give(memory)
	return 0
}

// admit charges a new member, if there is room for it.
func (c *Coordinator) admit(m *member, protocolType string) int16 {
	g, is := m.group, m.size()
	if code := c.room(g, is.memory+held(len(protocolType)), is.record); code != 0 {
		return code
	}
	c.resize(m, size{})
	c.setProtocolType(g, protocolType)
	c.counts.Members++
	return 0
}

// resize charges what a member has become, which was checked before.
func (c *Coordinator) resize(m *member, was size) {
	is := m.size()
	c.budget.force(is.memory - was.memory)
	m.group.record += is.record - was.record
}

// shed gives back what a member takes.
func (c *Coordinator) shed(m *member) {
	is := m.size()
	c.budget.give(is.memory)
	m.group.record -= is.record
}

func (c *Coordinator) setProtocolType(g *group, protocolType string) {
	c.budget.give(held(len(g.protocolType)))
	c.budget.force(held(len(protocolType)))
	g.protocolType = protocolType
}
