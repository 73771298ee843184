package conn

import (
	"time"

	"oneplusn/segment/list"
	"oneplusn/segment/mark"
)

// costly queues requests that take long to answer: large requests, and small ones with large answers. They are answered in the order
// of arrival, a few each turn, and other clients are served in between.
type costly struct {
	line list.List[*Conn]
	// turn is the connection whose request is being answered: it is not queued again.
	turn *Conn
}

const (
	// costlyItems is the most partitions, offsets, members or groups of an answer that is given at once. Each costs up to a
	// microsecond.
	costlyItems = 512
	// CostlyBytes is the largest body of a decoded request to be answered at once.
	CostlyBytes = 8 << 10
	// costlyTime is how long costly answers may take in one turn; the last one is finished beyond it.
	costlyTime = 2 * time.Millisecond
)

// PutOff puts a request into the line if its answer lists more than 512 items. It will be answered again from its frame.
func (c *Conn) PutOff(items int) bool {
	if items <= costlyItems || c.table.costly.turn == c {
		return false
	}
	mark.Hit("a costly request was put off")
	c.mustBeAsked("a turn")
	c.table.costly.line.PushBack(&c.forTurn, c)
	return true
}

// AnswerCostly answers queued requests until costlyTime has passed.
func (t *Table) AnswerCostly() {
	line, began := &t.costly.line, t.loop.Kernel.Now()
	for line.Len() > 0 && t.loop.Kernel.Now()-began < costlyTime {
		c := line.First().Value()
		c.forTurn.Remove()
		t.costly.turn = c
		c.handler.RequestAgain()
		t.costly.turn = nil
	}
}
