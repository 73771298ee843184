package conn

import "fmt"

// check recounts what all connections hold, for builds with invariants: the sums are what the budgets say is taken.
func (t *Table) check() {
	var shared, own int64
	for c := range t.conns.All() {
		c.check()
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

// check holds a connection against what is true of it between two turns.
func (c *Conn) check() {
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
