package group

import (
	"oneplusn/fanout/budget"
	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

// Budget is the memory that all groups hold, as the bytes methods of their parts count it. Everything that a client makes the
// coordinator hold is charged first: see [Coordinator.recount].
func (c *Coordinator) Budget() *budget.Budget { return c.budget }

// take charges memory, of which a negative amount is given back.
func take(from *budget.Budget, bytes int64) bool {
	if bytes < 0 {
		from.Give(-bytes)
		return true
	}
	return from.Take(bytes)
}

// The memory of each part besides the bytes that clients send: structures, map entries, timers. Measured by
// TestChargedMemoryCoversTheHeap, and rounded up.
const (
	groupBytes    = 768
	memberBytes   = 896
	protocolBytes = 128
	pendingBytes  = 448
	offsetBytes   = 448
)

// held is the memory of n bytes of a client: the allocator rounds up by an eighth at most.
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

// size is a member's share of the budget, and of its group's membership record.
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

// refused counts a request that a limit refuses, and is its error.
func (n *Counts) refused(code int16) int16 {
	n.Refused++
	return code
}

// fits reports whether a group's membership record may grow, up to a limit; 0 for none.
func (g *group) fits(bytes, maxRecordBytes int64) bool {
	return bytes <= 0 || maxRecordBytes == 0 || g.recordBytes+bytes <= maxRecordBytes
}

// room is the error if a group's memory and record cannot grow by so much, or 0. It charges nothing.
func (c *Coordinator) room(g *group, memory, record int64) int16 {
	switch {
	case !g.fits(record, c.config.MaxRecordBytes):
		return c.counts.refused(wire.CodeGroupMaxSizeReached)
	case !take(c.budget, memory):
		mark.Hit("the memory of groups was used up")
		return c.counts.refused(wire.CodePolicyViolation)
	}
	c.budget.Give(memory)
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

// resize charges a member's growth, for which there is room.
func (c *Coordinator) resize(m *member, was size) {
	is := m.size()
	c.budget.Force(is.memory - was.memory)
	m.group.recordBytes += is.record - was.record
}

func (c *Coordinator) shed(m *member) {
	is := m.size()
	c.budget.Give(is.memory)
	m.group.recordBytes -= is.record
}

func (c *Coordinator) setProtocolType(g *group, protocolType string) {
	c.budget.Give(held(len(g.protocolType)))
	c.budget.Force(held(len(protocolType)))
	g.protocolType = protocolType
}
