package conn

import (
	"oneplusn/fanout/budget"
	"oneplusn/segment/mark"
)

// keptListBytes is the uncharged memory of the lists that requests are parsed into. It is part of the cost of a connection.
const keptListBytes = 16 << 10

// chargedListBytes is the most memory of charged lists that a connection keeps between two requests: enough to serve a consumer of
// ten thousand partitions without an allocation.
const chargedListBytes = 1 << 20

// DecodedFactor is the memory of a decoded request and its response, as a multiple of the request's bytes.
const DecodedFactor = 32

// lists is the budget that the handler's lists and its decoded request are charged to.
func (c *Conn) lists() *budget.Budget {
	if c.hasTurn {
		return c.table.requests.lines[1].turn
	}
	return c.table.requests.general
}

// ListRoom is how many bytes the handler's lists may grow to. [Conn.ChargeLists] charges their growth.
func (c *Conn) ListRoom() int64 { return keptListBytes + c.charged + c.lists().Left() }

// ChargeLists charges the growth of the handler's lists to the request memory, or closes the connection.
func (c *Conn) ChargeLists() {
	grown := max(c.handler.ListBytes()-keptListBytes, 0) - c.charged
	if grown <= 0 || c.state != open {
		return
	}
	if !c.lists().Take(grown) {
		c.Close(ByMemory, c.lists().Refusal("a request's list of partitions", grown))
		return
	}
	c.charged += grown
}

// ChargeDecoded charges the memory to decode a request of that many bytes. ok is false if the request has to wait for it.
func (c *Conn) ChargeDecoded(bytes int) (ok bool, err error) {
	needs := DecodedFactor * int64(bytes)
	switch {
	case needs <= keptListBytes || c.decoded > 0: // small, or answered again
		return true, nil
	case !c.lists().Take(needs):
		return false, c.AwaitRoom("a decoded request", needs)
	}
	c.decoded = needs
	return true, nil
}

// AwaitRoom queues a whole request for request memory: the handler is asked again when there is enough. It returns an error if
// the request can never fit.
func (c *Conn) AwaitRoom(what string, needs int64) error {
	c.mustBeAsked("a wait for request memory")
	m := &c.table.requests
	own := int64(0) // its frame stays while it waits
	if c.in.from == m.general || c.in.from == m.large {
		own = int64(len(c.in.buf))
	}
	if c.hasTurn || needs > max(m.general.Limit()-own, m.lines[1].turn.Limit()) {
		mark.Hit("a request that can never fit was refused")
		return m.total.Refusal(what, needs)
	}
	c.request, c.in.held = none, false
	c.dropLists()
	c.awaitMemory(0, needs)
	return nil
}

// feedWhole reports whether there is memory to answer a whole request: in the general share, or in the large line's turn.
func (c *Conn) feedWhole() bool {
	m := &c.table.requests
	if m.general.Left() >= c.needsRequest {
		return true
	}
	c.hasTurn = m.lines[1].turn.Used() == 0 && m.lines[1].turn.Limit() >= c.needsRequest
	mark.HitIf(c.hasTurn, "a whole request got the turn of the large line")
	return c.hasTurn
}

// trimLists drops lists that are larger than a connection may keep between two requests, and the charge of a decoded request.
func (c *Conn) trimLists() {
	c.lists().Give(c.decoded)
	c.decoded = 0
	if c.in.pins > 0 {
		return // the lists are still needed: Unpin calls again
	}
	if c.hasTurn || c.handler.ListBytes() > keptListBytes+chargedListBytes {
		c.dropLists()
		c.hasTurn = false
	}
}

// dropLists drops lists that are larger than a connection may keep uncharged.
func (c *Conn) dropLists() {
	if c.in.pins > 0 {
		return
	}
	if c.handler.ListBytes() > keptListBytes {
		c.handler.DropLists()
	}
	c.lists().Give(c.charged)
	c.charged = 0
}
