package fanout

import (
	"fmt"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/fetch"
	"oneplusn/fanout/produce"
	"oneplusn/fanout/wire"
	"oneplusn/ring"
)

// slabBytes is the off-heap memory that each connection owns: its message descriptor and the header bytes of its
// response. Ten thousand connections that have all been answered once hold 20 MiB.
const slabBytes = 2048

// The slab must have room for the message and for a header of useful size.
const _ = uint(slabBytes - ring.MessageBytes - 1024)

// keptListBytes is what the lists that requests are parsed into may take without being charged: it is part of what a
// connection costs.
const keptListBytes = 16 << 10

// chargedListBytes is what they may take between two requests, being charged: with it a consumer of ten thousand
// partitions is served without an allocation.
const chargedListBytes = 1 << 20

// listBytes implements [handler].
func (c *client) listBytes() int64 {
	return c.fetch.ListBytes() + c.produce.ListBytes()
}

// lists is the budget that the connection's lists and its decoded request are charged to.
func (c *conn) lists() *budget.Budget {
	if c.hasTurn {
		return c.broker.frames.lines[1].turn
	}
	return c.broker.frames.general
}

// listRoom is the number of partitions of bytes each that the connection's lists may get now.
func (c *client) listRoom(bytes int64) int {
	return int(min((keptListBytes+c.charged+c.lists().Left())/bytes, c.broker.mostPartitions()))
}

// leastMostPartitions is how many partitions a produce or a fetch may name at least, however few a server may have.
const leastMostPartitions = 20_000

// mostPartitions is how many partitions a produce, a fetch or a session of fetches may name: as many as there may be. One that
// names more repeats some, or means none, and its memory alone would hold up everybody.
func (b *Broker) mostPartitions() int64 {
	return min(max(b.catalog.PartitionBudget().Limit(), leastMostPartitions), wire.MaxPartitions)
}

// tooManyPartitions is the error of a request of more partitions than it may name, or [wire.ErrNoRoom].
func (b *Broker) tooManyPartitions(c *client) error {
	named := c.fetch.Named()
	if c.header.Key == wire.KeyProduce {
		named = c.produce.Named()
	}
	if most := b.mostPartitions(); int64(named) > most {
		return fmt.Errorf("%w: it names %d, more than %d partitions, which is what there may be (--max-partitions)",
			wire.ErrTooManyPartitions, named, most)
	}
	return wire.ErrNoRoom
}

// noListRoom lets a request of more partitions than there is room for wait, or refuses it.
func (b *Broker) noListRoom(c *client) error {
	needs := int64(c.fetch.Named()) * fetch.ListBytesPerPartition
	if c.header.Key == wire.KeyProduce {
		needs = int64(c.produce.Named()) * produce.ListBytesPerPartition
	}
	return c.awaitGeneral("a request's list of partitions", needs)
}

// awaitGeneral lets a whole request wait for request memory. One for which there will never be enough is refused.
func (c *conn) awaitGeneral(what string, needs int64) error {
	m := &c.broker.frames
	own := int64(0) // its frame stays while it waits
	if c.in.from == m.general || c.in.from == m.large {
		own = int64(len(c.in.buf))
	}
	if c.hasTurn || needs > max(m.general.Limit()-own, m.lines[1].turn.Limit()) {
		return fmt.Errorf("fanout: %w", m.total.Refusal(what, needs))
	}
	c.busy, c.in.held = false, false
	c.dropLists()
	c.awaitMemory(0, needs)
	return nil
}

// feedWhole gives a request that was received whole what it needs to be answered, if there is room: of what all share, or
// of the large line's turn.
func (c *conn) feedWhole() bool {
	m := &c.broker.frames
	if m.general.Left() >= c.needsRequest {
		return true
	}
	c.hasTurn = m.lines[1].turn.Used() == 0 && m.lines[1].turn.Limit() >= c.needsRequest
	return c.hasTurn
}

// chargeLists takes what the connection's lists have grown to from the request memory: see listRoom.
func (c *conn) chargeLists() error {
	grown := max(c.handler.listBytes()-keptListBytes, 0) - c.charged
	if grown <= 0 {
		return nil
	}
	if !c.lists().Take(grown) {
		return fmt.Errorf("fanout: %w", c.lists().Refusal("a request's list of partitions", grown))
	}
	c.charged += grown
	return nil
}

// decodedFactor is how much more memory a decoded request and its response take than its bytes.
const decodedFactor = 32

// chargeDecoded takes the memory of a request that is decoded whole. ok is false if it has to wait for it.
func (c *conn) chargeDecoded(bytes int) (ok bool, err error) {
	needs := decodedFactor * int64(bytes)
	switch {
	case needs <= keptListBytes || c.decoded > 0: // small, or answered again
		return true, nil
	case !c.lists().Take(needs):
		return false, c.awaitGeneral("a decoded request", needs)
	}
	c.decoded = needs
	return true, nil
}

// trimLists lets go of lists that are larger than a connection may keep between two requests, and of a decoded request.
func (c *conn) trimLists() {
	c.lists().Give(c.decoded)
	c.decoded = 0
	if c.in.pins > 0 {
		return // its lists are still needed: unpin calls again
	}
	if c.hasTurn || c.handler.listBytes() > keptListBytes+chargedListBytes {
		c.dropLists()
		c.hasTurn = false
	}
}

// dropLists lets go of lists that are larger than every connection may keep. Nothing may wait on them.
func (c *conn) dropLists() {
	if c.in.pins > 0 {
		return
	}
	if c.handler.listBytes() > keptListBytes {
		c.handler.dropLists()
	}
	c.lists().Give(c.charged)
	c.charged = 0
}
