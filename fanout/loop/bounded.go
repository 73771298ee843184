package loop

import "runtime"

// Bounded runs background work that takes memory and a processor (the check of a large batch, a search by time) a few at a
// time, in the order in which it was asked for: as many as leave the loop a processor. The zero value is ready.
type Bounded struct {
	running int
	queue   []func() (work, done func())
}

// Go calls begin on the loop when its turn has come, some time soon. What it returns runs as by [Loop.Go]; a nil work is for
// what nobody wants any more.
func (b *Bounded) Go(l *Loop, begin func() (work, done func())) {
	b.queue = append(b.queue, begin)
	b.next(l)
}

func (b *Bounded) next(l *Loop) {
	for len(b.queue) > 0 && b.running < max(runtime.GOMAXPROCS(0)-1, 1) {
		begin := b.queue[0]
		b.queue[0] = nil
		b.queue = b.queue[1:]
		work, done := begin()
		if work == nil {
			continue
		}
		b.running++
		l.Go(work, func() {
			b.running--
			done()
			b.next(l)
		})
	}
}
