package scenario

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// beCalm ends the faults and the new work. What was asked for must be answered, and who reads must come to the end, in bounded time.
func (w *World) beCalm() {
	if w.ending != 0 {
		w.machine.After(time.Second, w.beCalm)
		return
	}
	w.trace("calm")
	w.calm = true
	w.readOn()
	w.machine.After(longestAnswer, w.readOn) // what producers still had to send has been sent
	w.machine.After(calmTime, w.audit)
}

// readOn lets every subscriber read to the end.
func (w *World) readOn() {
	for _, s := range w.subscribers {
		s.idle(0)
		s.minBytes = 1 // one batch at a time, each after the longest wait, would take too long
		s.fetch()
	}
}

// calmTime is long enough for every client to read what there is, and to have its answer.
const calmTime = 2 * longestAnswer

// audit reads every partition from its start to its end, and compares it with the model. Then the server is stopped.
func (w *World) audit() {
	for _, s := range w.subscribers {
		if s.connection != nil && !s.over() {
			w.fail("%s has not come to the end of %v", s.name, s.positions[slices.IndexFunc(s.positions, (*position).hasMore)])
		}
	}
	w.trace("audit")
	w.auditing = true
	for _, c := range w.clients { // there may be no room for another
		c.reset()
	}
	a := &auditor{subscriber: w.newSubscriber("auditor", 1)}
	a.bytesPerTick, a.sessions, a.sessionEpoch, a.minBytes, a.maxBytes, a.wait = 1<<20, false, -1, 0, 1<<20, 0
	for _, t := range w.model.topics {
		a.left = append(a.left, t.logs...)
	}
	a.next()
	w.machine.After(auditTime, func() {
		if !w.over {
			w.fail("the auditor waits: %v", a.positions)
		}
	})
}

// auditTime is long enough to read everything.
const auditTime = 2 * time.Minute

// auditor reads one partition after the other.
type auditor struct {
	*subscriber
	left    []*partition
	start   int64
	records []foundRecord
}

func (a *auditor) next() {
	w := a.world
	if len(a.left) == 0 {
		w.over = true
		w.stopServer()
		return
	}
	p := a.left[0]
	a.left = a.left[1:]
	x := w.expect(p)
	a.listStart(p, func(start int64, code int16) {
		switch may := x.end(); {
		case code != 0 && may.mayBeMissing || p.refuses(code):
			a.next()
		case code != 0 || !may.mayExist:
			w.fail("the start of %s is asked for and the answer is %s (%+v)", p, errorName(code), may)
		default:
			a.read(p, start)
		}
	})
}

// listStart asks for a log's start.
func (a *auditor) listStart(p *partition, then func(start int64, code int16)) {
	a.ask(listOffsets(p, -2), func(answered kmsg.Response) {
		if answered == nil {
			a.world.machine.After(patience, func() { a.listStart(p, then) })
			return
		}
		got := answered.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
		then(got.Offset, got.ErrorCode)
	})
}

// read reads a partition to its end.
func (a *auditor) read(p *partition, start int64) {
	a.start, a.records = start, nil
	a.found = func(_ *partition, f foundRecord) { a.records = append(a.records, f) }
	at := &position{partition: p, offset: start, epoch: -1, maxBytes: 1 << 20}
	a.positions = []*position{at}
	a.subscriber.fetch()
	a.awaitEnd(at)
}

func (a *auditor) awaitEnd(at *position) {
	if a.fetching || !at.atEnd {
		a.world.machine.After(10*time.Millisecond, func() { a.awaitEnd(at) })
		return
	}
	at.partition.audit(a.world, a.start, a.records)
	a.next()
}
