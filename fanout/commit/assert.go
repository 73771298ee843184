package commit

import (
	"fmt"

	"oneplusn/segment/invariants"
)

// mustBeConsistent walks over a partition after its write or its sync has ended, in tests.
func (p *Partition) mustBeConsistent() {
	if !invariants.Enabled {
		return
	}
	if writes, syncs := p.queue.write != nil, p.flush.plan != nil; writes != (p.queue.inFlight.Len() > 0) || syncs != (p.flush.left > 0) {
		panic(fmt.Sprintf("commit: %s has a write in flight (%v) of %d appends, a sync (%v) of %d parts",
			p, writes, p.queue.inFlight.Len(), syncs, p.flush.left))
	}
	if p.removed != nil && p.waiters.Len()+p.queue.waiting.Len() > 0 {
		panic(fmt.Sprintf("commit: %s was removed, %d wait for a commit and %d to be written", p, p.waiters.Len(), p.queue.waiting.Len()))
	}
	before := p.highWatermark // who waits, waits for something at or above it
	for n := p.waiters.First(); n != nil; n = n.Next() {
		if n.Value().offset < before {
			panic(fmt.Sprintf("commit: a waiter of %s waits for offset %d behind %d", p, n.Value().offset, before))
		}
		before = n.Value().offset
	}
}
