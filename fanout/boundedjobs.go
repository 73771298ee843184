package fanout

import "runtime"

// boundedJobs runs background work that takes memory and a processor (the check of a large batch, a look-up by time) a few
// at a time, in the order in which it was asked for: as many as leave the loop a processor. Who asks keeps its connection
// busy meanwhile, so the line is no longer than there are connections.
type boundedJobs struct {
	running int
	queue   []func() (finish func())
}

// run is [Broker.background], some time soon.
func (j *boundedJobs) run(b *Broker, work func() (finish func())) {
	j.queue = append(j.queue, work)
	j.begin(b)
}

func (j *boundedJobs) begin(b *Broker) {
	for len(j.queue) > 0 && j.running < max(runtime.GOMAXPROCS(0)-1, 1) {
		work := j.queue[0]
		j.queue[0] = nil
		j.queue = j.queue[1:]
		j.running++
		b.background(func() func() {
			finish := work()
			return func() {
				j.running--
				finish()
				j.begin(b)
			}
		})
	}
}
