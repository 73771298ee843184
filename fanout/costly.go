package fanout

import "time"

// costly is the line of requests whose answers cost more than a client may have of the loop at once: large requests, and small
// ones that ask for much. They are answered in the order in which they came, some in each turn, and everybody else is served in
// between.
type costly struct {
	line queue
	// turn is the connection whose request is being answered: it does not go to the end of the line again.
	turn *conn
}

const (
	// costlyItems is how many partitions, offsets, members or groups an answer lists at most that is given at once: each costs
	// up to a microsecond.
	costlyItems = 512
	// costlyBytes is the largest body of a decoded request that is answered at once.
	costlyBytes = 8 << 10
	// costlyTime is how long such answers may take in one turn. The last one is finished.
	costlyTime = 2 * time.Millisecond
)

// putOff puts a request into the line if its answer lists more than costlyItems. It will be answered from its frame.
func (c *conn) putOff(items int) bool {
	if items <= costlyItems || c.broker.costly.turn == c {
		return false
	}
	c.broker.costly.line.push(&c.forTurn, c)
	return true
}

// answerCostly answers requests of the line for a while.
func (b *Broker) answerCostly() {
	began := b.loop.Kernel.Now()
	for now := began; b.costly.line.first != nil && now-began < costlyTime; {
		c := b.costly.line.first.conn
		c.forTurn.leave()
		b.costly.turn = c
		c.handler.again()
		b.costly.turn = nil
		now = b.loop.Kernel.Now()
	}
}
