package fanout

import (
	"errors"
	"time"

	"oneplusn/segment"
)

// appendQueue is what is on its way to a partition's log.
//
//	push --> waiting --begin--> in flight (one write of the log, off the loop) --> ended: settled one by one, in order
//	            ^                   |
//	            +--- what comes meanwhile gathers for the next write, without an offset yet
//
// The slower the disk, the more each write carries.
type appendQueue struct {
	waiting  appendList
	inFlight appendList
	write    *segment.Write // that of inFlight; nil if none is
	due      bool           // on appends.due
	fast     int            // writes in a row that were: see inlineWrites
	took     time.Duration  // the last write off the loop
}

// pendingAppend is a producer's batch, or records of the server's own, that wait for their write. It is linked into one
// list of its partition's queue until owner is told. The bytes must not move until then.
type pendingAppend struct {
	batches  []byte
	checked  segment.Checked
	owner    appendOwner
	appended segment.Appended
	next     *pendingAppend
}

// appendOwner is told once how an append ended. It may push others.
type appendOwner interface {
	appendEnded(b *Broker, p *partition, appended segment.Appended, err error)
}

// appendList is first in, first out.
type appendList struct{ first, last *pendingAppend }

func (l *appendList) push(a *pendingAppend) {
	a.next = nil
	if l.last != nil {
		l.last.next = a
	} else {
		l.first = a
	}
	l.last = a
}

func (l *appendList) pop() *pendingAppend {
	a := l.first
	if l.first = a.next; l.first == nil {
		l.last = nil
	}
	a.next = nil
	return a
}

// appends are the partitions with something to write.
type appends struct {
	due     []*partition // a write can begin, as far as is known
	spare   []*partition
	pending int // appends whose owner is not told yet
	writers writers
}

// push queues an append to a partition. It begins before the turn ends, together with all that came in it.
func (as *appends) push(p *partition, a *pendingAppend) {
	as.pending++
	p.appends.waiting.push(a)
	as.look(p)
}

// look has the partition's queue looked at before the turn ends.
func (as *appends) look(p *partition) {
	if q := &p.appends; !q.due && q.write == nil && q.waiting.first != nil {
		q.due = true
		as.due = append(as.due, p)
	}
}

// beginAppends begins a write for every partition that has something to write and no write in flight.
func (b *Broker) beginAppends() {
	as := &b.appends
	for len(as.due) > 0 && !as.writers.full() {
		due := as.due
		as.due = as.spare[:0]
		for i, p := range due {
			due[i] = nil
			p.appends.due = false
			if as.writers.full() {
				as.look(p)
				continue
			}
			b.beginAppend(p)
		}
		as.spare = due[:0]
	}
}

// beginAppend checks and places what waits, as much as one write takes, and hands the write out. What is refused is
// settled here.
func (b *Broker) beginAppend(p *partition) {
	q := &p.appends
	w, err := p.log.BeginWrite()
	if errors.Is(err, segment.ErrNextWrite) {
		return // the log ends a segment: logWork looks again
	}
	if err != nil {
		b.refuseAppends(p, err)
		return
	}
	q.write = w
	now := b.loop.UnixMillis()
	for q.waiting.first != nil {
		a := q.waiting.first
		appended, err := w.Add(a.batches, a.checked, now)
		if errors.Is(err, segment.ErrNextWrite) {
			break
		}
		q.waiting.pop()
		if err != nil || appended.Duplicate {
			b.endAppend(p, a, appended, err)
			continue
		}
		a.appended = appended
		q.inFlight.push(a)
	}
	if w.Empty() {
		q.write = nil
		_ = p.log.EndWrite(w) // nothing was done
		return
	}
	if !b.syncs.inFlight() && b.inline.takes(p, w, b.loop.Now()) {
		b.runInline(p)
		return
	}
	b.appends.writers.hand(p)
}

// endAppends takes over the writes that have run.
func (b *Broker) endAppends() {
	b.inline.bytes = 0
	for p := b.appends.writers.take(); p != nil; {
		next := p.nextDone
		p.nextDone = nil
		if p.appends.ran(p.appends.took); p.appends.took > stuckWrite {
			b.slowWrite(p, p.appends.took)
		}
		b.endWrite(p)
		p = next
	}
}

// endWrite makes a write's batches part of the log, or not, and tells their owners.
func (b *Broker) endWrite(p *partition) {
	q := &p.appends
	err := p.log.EndWrite(q.write)
	q.write = nil
	ended := q.inFlight
	q.inFlight = appendList{}
	if err == nil {
		records := 0
		for a := ended.first; a != nil; a = a.next {
			records += a.appended.Records
		}
		b.wrote(p, records)
		b.markGrown(p)
	}
	b.logWork(p)
	for ended.first != nil {
		a := ended.pop()
		b.endAppend(p, a, a.appended, err)
	}
	b.appends.look(p)
}

// refuseAppends settles all that waits to be written.
func (b *Broker) refuseAppends(p *partition, err error) {
	for q := &p.appends; q.waiting.first != nil; {
		b.endAppend(p, q.waiting.pop(), segment.Appended{}, err)
	}
}

func (b *Broker) endAppend(p *partition, a *pendingAppend, appended segment.Appended, err error) {
	owner := a.owner
	a.batches, a.owner = nil, nil
	b.appends.pending--
	owner.appendEnded(b, p, appended, err)
}
