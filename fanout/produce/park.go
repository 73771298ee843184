package produce

import (
	"time"

	"oneplusn/fanout/heap"
	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

// maxWait caps how long a produce may wait, whatever its client says.
const maxWait = 5 * time.Minute

// Before implements [heap.Item].
func (p *Produce) Before(other *Produce) bool { return p.deadline < other.deadline }

// HeapPlace implements [heap.Item].
func (p *Produce) HeapPlace() *heap.Place { return &p.place }

// Parked says that the produce waits for its parts, which answer it.
func (p *Produce) Parked() bool { return p.place.Linked() }

// park lets the produce wait until all its parts are settled.
func (p *Produce) park() {
	pr := p.producer
	wait := min(time.Duration(p.request.TimeoutMillis)*time.Millisecond, maxWait)
	p.deadline = pr.loop.Now() + max(wait, pr.config.LeastWait)
	pr.parked.Push(p)
}

// unpark ends the wait, of all parts.
func (p *Produce) unpark() {
	if !p.place.Linked() {
		return
	}
	p.producer.parked.Remove(p)
	for i := range p.parts {
		p.parts[i].wait.Cancel()
	}
}

// timeOut answers a produce whose timeout has passed.
func (p *Produce) timeOut() {
	mark.HitIf(p.writing > 0, "a produce timed out before its write ended")
	mark.HitIf(p.writing == 0, "a produce timed out before its sync ended")
	p.unpark()
	for i := range p.parts {
		if r := &p.parts[i]; !r.settled {
			r.ProduceResult = failed(wire.CodeRequestTimedOut, "the disk has not confirmed the write in time; it may still")
			r.settled = true
		}
	}
	p.unsettled = 0
	p.answer()
}
