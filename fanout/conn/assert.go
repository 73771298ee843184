package conn

import "fmt"

// recount asserts, in tests, that the memory held by all connections adds up to what the budgets have charged.
func (t *Table) recount() {
	var shared, own int64
	for c := range t.conns.All() {
		c.mustBeConsistent()
		shared += c.charged + c.decoded
		for _, l := range append([]lent{{c.in.buf, c.in.from}, c.in.spill.lent}, c.in.retired...) {
			if l.from == t.requests.connections {
				own += int64(cap(l.bytes))
			} else {
				shared += int64(cap(l.bytes))
			}
		}
	}
	if m := &t.requests; shared != m.total.Used() || own != m.connections.Used() {
		panic(fmt.Sprintf("conn: connections hold %d bytes of request memory and %d of their own; charged are %d and %d",
			shared, own, m.total.Used(), m.connections.Used()))
	}
}

// mustBeConsistent asserts the invariants of a connection between two turns.
func (c *Conn) mustBeConsistent() {
	queued := c.forRequest.Linked() || c.forResponse.Linked() || c.forTurn.Linked()
	switch {
	case c.state == closing && queued:
		panic(fmt.Sprintf("conn: a connection that is closed waits for nothing; %v waits", c.token))
	case c.state == closing:
	case c.in.held != (c.request == asked):
		panic(fmt.Sprintf("conn: a frame is held until its answer; connection %v: held %v, request %d", c.token, c.in.held, c.request))
	case c.forRequest.Linked() && c.request != none, (c.forResponse.Linked() || c.forTurn.Linked()) && c.request != asked:
		panic(fmt.Sprintf("conn: a request waits for memory before it is asked, and for its turn after; connection %v: request %d", c.token, c.request))
	case c.recvArmed == c.recvPaused && c.cancels == 0:
		panic(fmt.Sprintf("conn: a connection receives unless it is paused; %v: armed %v", c.token, c.recvArmed))
	}
}

// mustBeTaken panics if the slot is free: nobody may begin anything for a connection that is gone.
func (c *Conn) mustBeTaken(what string) {
	if c.state == free {
		panic(fmt.Sprintf("conn: %s begins on connection %v, which is open or closing; it is free", what, c.token))
	}
}

// mustBeAsked panics if there is no request under way, or if it has its answer.
func (c *Conn) mustBeAsked(what string) {
	if c.request != asked || c.state != open {
		panic(fmt.Sprintf("conn: %s is for a request under way without an answer; connection %v: request %d, state %d",
			what, c.token, c.request, c.state))
	}
}

// mustHoldNothing panics if a connection that is freed still has something.
func (c *Conn) mustHoldNothing() {
	queued := c.forRequest.Linked() || c.forResponse.Linked() || c.forTurn.Linked()
	memory := c.charged != 0 || c.decoded != 0 || c.hasTurn || c.in.buf != nil || c.in.spill.bytes != nil || c.block != nil || c.shared != nil
	if queued || memory || c.in.pins != 0 || c.errands != 0 {
		panic(fmt.Sprintf("conn: a connection that is freed waits for nothing and holds nothing; %v: queued %v, %d charged, %d decoded, "+
			"a turn %v, %d pins, %d errands", c.token, queued, c.charged, c.decoded, c.hasTurn, c.in.pins, c.errands))
	}
}
