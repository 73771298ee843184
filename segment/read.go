package segment

import (
	"errors"
	"fmt"

	"oneplusn/segment/mark"
)

// ErrCold: the answer needs the disk, or more work than the loop should do: see [Log.Lookup].
var ErrCold = errors.New("segment: the answer needs the disk")

// ErrOffsetOutOfRange: the offset is before the log's start or behind its high watermark.
var ErrOffsetOutOfRange = errors.New("segment: the offset is out of range")

// Range is a piece of a segment: whole batches, all of them below the high watermark. Its bytes never change.
type Range struct {
	// Segment is not held: call [Segment.Retain] before sending the range. It is nil in the zero value.
	Segment  *Segment
	Pos, Len int64
}

// lastRead caches the last answer of Read: all subscribers of a fan-out ask the same.
type lastRead struct {
	offset, maxBytes int64
	found            Range
}

// Read finds the batches from the one that contains offset on (or, after compaction, the first one above it) up to the last
// boundary within maxBytes that the index knows, but at least one batch, however large (KIP-74). Only then is the range longer
// than maxBytes. A range stays within one segment. At the high watermark it is empty, and begins where the next batch will.
//
// It never waits for a disk. If the answer needs one it returns [ErrCold], and a [Lookup] finds the very same answer.
func (l *Log) Read(offset, maxBytes int64) (Range, error) {
	s, err := l.segmentOf(offset)
	if err != nil {
		return Range{}, err
	}
	if offset == l.highWatermark || s.visible == 0 || offset >= s.next {
		return s.span(s.visible, s.visible), nil
	}
	if s.evicted() {
		mark.Hit("a read met a segment whose file was closed to save descriptors")
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

// segmentOf is the segment that has, or will have, the batch to be read at an offset.
func (l *Log) segmentOf(offset int64) (*Segment, error) {
	if l.closed {
		return nil, l.closedError()
	}
	if offset < l.LogStartOffset() || offset > l.highWatermark {
		return nil, fmt.Errorf("%w: %d, the log has %d to %d", ErrOffsetOutOfRange, offset, l.LogStartOffset(), l.highWatermark)
	}
	return l.holder(offset), nil
}

// holder is the segment with the first batch that ends at an offset or later, or else the active one.
func (l *Log) holder(offset int64) *Segment {
	i := l.position(offset)
	for l.segments[i].next <= offset && i+1 < len(l.segments) {
		mark.Hit("a read skipped offsets that no segment has")
		i++ // the offsets up to the next segment were compacted away
	}
	return l.segments[i]
}

// Behind is the number of bytes that can be read in a range's segment from its start on. ended: readable data follows in a later
// segment, so this one will get no more.
func (l *Log) Behind(r Range) (bytes int64, ended bool) {
	i := len(l.segments) - 1
	for i > 0 && l.segments[i].visible == 0 {
		i--
	}
	return r.Segment.visible - r.Pos, r.Segment.base < l.segments[i].base
}
