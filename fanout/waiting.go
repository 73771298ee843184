package fanout

import (
	"time"

	"oneplusn/fanout/heap"
)

// maxWait caps how long a produce may wait, so that a connection is heard of now and then.
const maxWait = 5 * time.Minute

// Before orders waiting produces by their deadlines.
func (c *client) Before(other *client) bool { return c.deadline < other.deadline }

// HeapPlace is where the client is among the waiting ones.
func (c *client) HeapPlace() *heap.Place { return &c.inWaiting }

// unpark takes a waiting produce off every list that it waits on.
func (b *Broker) unpark(c *client) {
	if !c.inWaiting.Linked() {
		return
	}
	for i := range c.produced {
		c.produced[i].wait.Cancel()
	}
	b.waiting.Remove(c)
}
