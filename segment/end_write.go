package segment

import (
	"fmt"
	"math"

	"oneplusn/segment/mark"
	"oneplusn/segment/records"
)

// EndWrite makes the batches of a write part of the log, on the log's thread. With an error ([ErrStorage], [ErrClosed] or
// [ErrPoisoned]) none of them is, and the next write goes to the same place.
func (l *Log) EndWrite(w *Write) error {
	if w != &l.writing || !w.inFlight {
		panic("segment: a write ends that is not in flight: " + l.dir)
	}
	w.inFlight = false
	defer w.forget()
	if w.Empty() {
		return nil
	}
	if l.closed || !w.ran {
		mark.Hit("a log was closed while a write was in flight")
		return l.dropWrite(w)
	}
	s := w.target
	s.leftovers = w.leftovers
	if w.prepared != nil {
		l.prepared = w.prepared // the rename failed
	}
	if w.fresh != nil {
		s = l.takeOver(w)
	}
	s.leftovers = s.leftovers || w.remains
	switch {
	case w.err != nil:
		return w.err
	case l.poisoned != nil: // meanwhile: the file has batches that the log does not
		mark.Hit("a sync failed while a write was in flight")
		s.leftovers = true
		return l.poisoned
	}
	l.commit(s, w)
	return nil
}

// forget drops the write's references.
func (w *Write) forget() {
	w.target.Release()
	clear(w.pieces)
	w.target, w.prepared, w.fresh, w.err = nil, nil, nil, nil
}

// dropWrite ends a write whose log was closed or deleted before it ran, or meanwhile.
func (l *Log) dropWrite(w *Write) error {
	if !l.closed {
		l.prepared, w.prepared = w.prepared, nil
	}
	l.options.Closer.close(closing{files: [2]File{w.prepared, w.fresh}})
	return l.closedError()
}

// takeOver makes a new segment the active one.
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

// commit adds batches that were written behind s.size. Unless acknowledgements wait for fsync, the high watermark moves here.
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
