package segment

import (
	"fmt"
	"math"

	"oneplusn/segment/records"
)

// EndWrite takes over what a write did, on the log's thread. With an error none of its batches is part of the log, and
// the next write goes to the same place: [ErrStorage], [ErrClosed] or [ErrPoisoned].
func (l *Log) EndWrite(w *Write) error {
	if w != &l.writing || !w.inFlight {
		panic("segment: a write was ended that was not in flight: " + l.dir)
	}
	w.inFlight = false
	defer w.forget()
	if w.Empty() {
		return nil
	}
	if l.closed || !w.ran {
		return l.dropWrite(w)
	}
	s := w.target
	s.leftovers = w.leftovers
	if w.prepared != nil {
		l.prepared = w.prepared // it could not be given its name
	}
	if w.fresh != nil {
		s = l.takeOver(w)
	}
	s.leftovers = s.leftovers || w.remains
	switch {
	case w.err != nil:
		return w.err
	case l.poisoned != nil: // meanwhile: what is in the file is not in the log
		s.leftovers = true
		return l.poisoned
	}
	l.commit(s, w)
	return nil
}

// forget lets go of everything that the write was about.
func (w *Write) forget() {
	w.target.Release()
	clear(w.pieces)
	w.target, w.prepared, w.fresh, w.err = nil, nil, nil, nil
}

// dropWrite ends a write of a log that was closed or deleted before it ran, or while it did.
func (l *Log) dropWrite(w *Write) error {
	if !l.closed {
		l.prepared, w.prepared = w.prepared, nil
	}
	for _, f := range []File{w.prepared, w.fresh} {
		if f != nil {
			l.options.Closer.closeFile(f)
		}
	}
	return l.closedError()
}

// takeOver makes the segment that a write began the active one.
func (l *Log) takeOver(w *Write) *Segment {
	last := l.active()
	if w.target != last || w.base != last.next {
		panic(fmt.Sprintf("segment: %s begins at offset %d behind %s, which ends with %d", w.path, w.base, last.path, last.next))
	}
	last.index.seal()
	last.snapshot = l.producers.encode()
	l.options.Files.ended(last)
	fresh := l.newSegment(w.fresh, last.next)
	l.segments = append(l.segments, fresh)
	l.dirUnsynced, l.workFailed, l.rollDue = true, false, false
	return fresh
}

// commit notes batches that were written behind s.size. Unless fsync has to make it true first, this is where the high
// watermark moves.
func (l *Log) commit(s *Segment, w *Write) {
	if s.size != w.at || s.next != w.first {
		panic(fmt.Sprintf("segment: a write of offset %d went to %d of %s, which ends with offset %d at %d", w.first, w.at, s.path, s.next, s.size))
	}
	for i, batches := range w.pieces {
		for at := 0; at < len(batches); {
			h, _ := records.ParseBatch(batches[at:])
			s.note(h)
			at += h.Size()
		}
		s.appended(w.createdMillis, w.batches[i].nowMillis)
		if b := &w.batches[i]; b.producer.id >= 0 {
			l.producers.add(b.producer, b.nowMillis)
		}
	}
	if s.next != w.next || s.size != w.at+w.bytes || s.size > math.MaxUint32 {
		panic(fmt.Sprintf("segment: after a write up to offset %d at %d %s ends with offset %d at %d", w.next, w.at+w.bytes, s.path, s.next, s.size))
	}
	if !l.options.ManualCommit && !l.awaitsSync {
		s.visible = s.size
		l.raiseHighWatermark(s.next)
	}
}
