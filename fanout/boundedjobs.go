package fanout

import "runtime"

// boundedJobs runs background work that takes memory and a processor (the check of a large batch, a look-up by time) a few
// at a time, in the order in which it was asked for: as many as leave the loop a processor. Who asks keeps its connection
// busy meanwhile, so the line is no longer than there are connections.
type boundedJobs struct {
	running int
	queue   []func() (work func() (finish func()))
}

// run calls begin on the loop when the turn has come, some time soon. What it returns runs in the background, as by
// [Broker.background]; nil if nobody wants it any more.
func (j *boundedJobs) run(b *Broker, begin func() (work func() (finish func()))) {
	j.queue = append(j.queue, begin)
	j.next(b)
}

func (j *boundedJobs) next(b *Broker) {
	for len(j.queue) > 0 && j.running < max(runtime.GOMAXPROCS(0)-1, 1) {
		begin := j.queue[0]
		j.queue[0] = nil
		j.queue = j.queue[1:]
		work := begin()
		if work == nil {
			continue
		}
		j.running++
		b.background(func() func() {
			finish := work()
			return func() {
				j.running--
				finish()
				j.next(b)
			}
		})
	}
}
