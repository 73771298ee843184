package segment

import (
	"errors"
	"fmt"
)

// ErrCold says that an answer can't be told without the disk, or not without more work than is for the loop: see
// [Log.Lookup].
var ErrCold = errors.New("segment: this has to be looked up on the disk")

// ErrOffsetOutOfRange says that an offset is before the log's start or behind its high watermark.
var ErrOffsetOutOfRange = errors.New("segment: the offset is out of range")

// Range is a piece of a segment: whole batches, all of them below the high watermark. Its bytes never change.
type Range struct {
	// Segment is not held: whoever sends the range calls [Segment.Retain] first. It is nil in the zero value.
	Segment  *Segment
	Pos, Len int64
}

// lastRead is the last answer of Read: all subscribers of a fan-out ask for the same one.
type lastRead struct {
	offset, maxBytes int64
	found            Range
}

// Read finds the batches from the one that contains offset on, or the first one above it if it was compacted away: as many
// as end at a place that the index knows within maxBytes, but at least that one, however large it is (KIP-74). Only then is
// the range longer than maxBytes. Its batches are of one segment. At the high watermark the range is empty, and begins where
// the next batch will.
//
// It never waits for a disk: what it can't tell without is [ErrCold], and a [Lookup] finds the very same answer.
func (l *Log) Read(offset, maxBytes int64) (Range, error) {
	s, err := l.segmentOf(offset)
	if err != nil {
		return Range{}, err
	}
	if offset == l.highWatermark || s.visible == 0 || offset >= s.next {
		return s.span(s.visible, s.visible), nil
	}
	if s.evicted() {
		return Range{}, ErrCold
	}
	if l.lastRead.found.Segment != nil && l.lastRead.offset == offset && l.lastRead.maxBytes == maxBytes {
		return l.lastRead.found, nil
	}
	v := s.view(&l.scratch)
	start, end, err := v.find(offset, maxBytes)
	if err != nil {
		return Range{}, err
	}
	l.lastRead = lastRead{offset, maxBytes, s.span(start, end)}
	return l.lastRead.found, nil
}

// segmentOf is the segment that has the batch to be read at an offset, or that will have it.
func (l *Log) segmentOf(offset int64) (*Segment, error) {
	if l.closed {
		return nil, l.closedError()
	}
	if offset < l.LogStartOffset() || offset > l.highWatermark {
		return nil, fmt.Errorf("%w: %d, the log has %d to %d", ErrOffsetOutOfRange, offset, l.LogStartOffset(), l.highWatermark)
	}
	i := l.position(offset)
	for l.segments[i].next <= offset && i+1 < len(l.segments) {
		i++ // the offsets up to the next segment were compacted away
	}
	return l.segments[i], nil
}

// Behind says how many bytes can be read from the start of a range on in its segment, and whether more follows in another,
// so that there will be no more in this one.
func (l *Log) Behind(r Range) (bytes int64, ended bool) {
	i := len(l.segments) - 1
	for i > 0 && l.segments[i].visible == 0 {
		i--
	}
	return r.Segment.visible - r.Pos, r.Segment.base < l.segments[i].base
}
