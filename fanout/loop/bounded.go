package loop

import "cmp"

// Bounded runs background work, a few jobs at a time, in the order of requests. The zero value is for work that takes memory and a
// processor (the check of a large batch, a search by time): it leaves the loop a processor.
type Bounded struct {
	Most    int // that run at once; 0 for as many as leave the loop a processor
	running int
	queue   []func() (work, done func())
}

// Go calls begin on the loop when there is room for another job. The returned work runs as by [Loop.Go]; nil skips a job that is no
// longer wanted.
func (b *Bounded) Go(l *Loop, begin func() (work, done func())) {
	b.queue = append(b.queue, begin)
	b.next(l)
}

func (b *Bounded) next(l *Loop) {
	for len(b.queue) > 0 && b.running < cmp.Or(b.Most, max(l.Processors-1, 1)) {
		begin := b.queue[0]
		b.queue[0] = nil
		b.queue = b.queue[1:]
		work, done := begin()
		if work == nil {
			continue
		}
		b.running++
		l.Go(work, func() {
			if b.running--; b.running < 0 {
				panic("loop: more background work ended than began")
			}
			done()
			b.next(l)
		})
	}
}
