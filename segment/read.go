package segment

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrOffsetOutOfRange says that an offset is before the log's start or behind its high watermark.
var ErrOffsetOutOfRange = errors.New("segment: the offset is out of range")

// Range is a piece of a segment: whole batches, all of them below the high watermark. Its bytes never change.
type Range struct {
	// Segment is nil for an empty range. It is not held: whoever sends the range calls [Segment.Retain] first.
	Segment  *Segment
	Pos, Len int64
}

// lookup is the last answer of Read: all subscribers of a fan-out ask for the same one.
type lookup struct {
	offset, maxBytes int64
	found            Range
}

// Read finds the batches from the one that contains offset on, as many as fit in maxBytes, but at least that one
// however large it is (KIP-74). They are of one segment. At the high watermark the range is empty.
//
// It never waits for a disk. Where the exact start or end of the range could only be read from pages that are not
// resident, the range begins one index interval earlier, which consumers skip, and ends at an entry of the index, which
// may be above maxBytes. Where the page of the index file is not resident either, it is indexStride intervals. A
// sequential reader needs only pages that were just sent to it.
func (l *Log) Read(offset, maxBytes int64) (Range, error) {
	if offset < l.LogStartOffset() || offset > l.HighWatermark() {
		return Range{}, fmt.Errorf("%w: %d, the log has %d to %d", ErrOffsetOutOfRange, offset, l.LogStartOffset(), l.HighWatermark())
	}
	if offset == l.HighWatermark() {
		return Range{}, nil
	}
	if l.lookup.found.Segment != nil && l.lookup.offset == offset && l.lookup.maxBytes == maxBytes {
		return l.lookup.found, nil
	}
	i := l.position(offset)
	for l.segments[i].next <= offset && i+1 < len(l.segments) {
		i++ // the offsets up to the next segment were compacted away
	}
	s := l.segments[i]
	if s.visible == 0 || offset >= s.next {
		return Range{}, nil
	}
	start, mustEnd, err := l.start(s, max(offset, s.base))
	if err != nil {
		return Range{}, err
	}
	end := l.end(s, start, mustEnd, maxBytes)
	l.lookup = lookup{offset, maxBytes, Range{s, start, end - start}}
	return l.lookup.found, nil
}

// start is where the batch that contains offset begins, or an earlier batch if that can't be told without a disk.
// mustEnd is the end of a batch that is not before it.
func (l *Log) start(s *Segment, offset int64) (start, mustEnd int64, err error) {
	p := s.index.find(uint32(offset-s.base), s.visible, &l.scratch)
	if p.exact {
		return p.from, p.end, nil
	}
	limit := min(p.lastStart+1, s.visible)
	at, h, what := l.walk(s, p.from, limit, func(h Batch, _ int64) bool { return h.NextOffset() > offset })
	switch {
	case what == walkFound:
		return at, at + int64(h.Size()), nil
	case what == walkInvalid:
		return 0, 0, damaged(s.path, at, ErrBatchMalformed)
	case at == p.lastStart && at < s.visible:
		return at, p.end, nil
	}
	return p.from, p.end, nil
}

// end is where the range that begins at start ends.
func (l *Log) end(s *Segment, start, mustEnd, maxBytes int64) int64 {
	limit := start + min(maxBytes, s.visible)
	if s.visible <= limit {
		return s.visible
	}
	if mustEnd >= limit {
		return mustEnd
	}
	if e := s.index.boundaryBefore(limit, &l.scratch); e > mustEnd {
		return e
	}
	// No entry of the index lies within maxBytes: the first batches are looked at one by one.
	end := mustEnd
	l.walk(s, mustEnd, limit, func(h Batch, at int64) bool {
		next := at + int64(h.Size())
		if next <= limit {
			end = next
		}
		return next >= limit
	})
	return end
}

// scratch is where headers and entries of an index are read to.
type scratch struct {
	headers    [4096 + BatchHeaderSize]byte
	indexBytes [(indexStride + 2) * indexEntryBytes]byte
	entries    [indexStride + 2]indexEntry
}

// walked is how a walk ended.
type walked uint8

const (
	walkFound   walked = iota
	walkLimit          // no batch begins between here and the limit
	walkCold           // going on would mean to wait for a disk
	walkInvalid        // there is no batch here: the index or the segment is damaged
)

// walk looks at the batches between from and limit until stop says that one is it. It reads resident pages only. at is
// where it ended.
func (l *Log) walk(s *Segment, from, limit int64, stop func(h Batch, at int64) bool) (at int64, h Batch, what walked) {
	for at = from; at < limit; {
		b := l.scratch.headers[:min(int64(len(l.scratch.headers)), s.visible-at)]
		n := s.file.ReadResident(b, at)
		if n < BatchHeaderSize {
			return at, h, walkCold
		}
		for used := 0; used+BatchHeaderSize <= n && at < limit; {
			h, err := ParseBatch(b[used:n])
			if err != nil || int64(h.Size()) > s.visible-at {
				return at, h, walkInvalid
			}
			if stop(h, at) {
				return at, h, walkFound
			}
			at += int64(h.Size())
			used += h.Size()
		}
	}
	return at, h, walkLimit
}

// Walk looks at the batches of a range in their order until stop says that it has seen enough, or until going on would
// mean to wait for a disk.
func (l *Log) Walk(r Range, stop func(h Batch, at int64) bool) {
	l.walk(r.Segment, r.Pos, r.Pos+r.Len, stop)
}

// AtTime is a range in which the first record of that time or later is to be found, from the batches' own times. It is
// empty if there is none. [Range.Narrow] makes it smaller; which record it is has to be read from the batches.
func (l *Log) AtTime(timestampMillis int64) Range {
	for _, s := range l.segments {
		if s.visible == 0 || s.index.maxTimestamp < timestampMillis || s.next <= l.logStart {
			continue
		}
		from := int64(0)
		if s.index.file == nil {
			from = min(s.index.beforeTime(timestampMillis, s.visible, &l.scratch), s.visible)
		}
		return Range{s, from, s.visible - from}
	}
	return Range{}
}

// Narrow is the range without the batches at its start that the segment's index files say are earlier. It reads them,
// so it may block and belongs off the loop, and the range must be held. Without the files the range stays as it is.
func (r Range) Narrow(timestampMillis int64) Range {
	if r.Segment == nil || r.Pos > 0 {
		return r
	}
	content, err := readFile(r.Segment.fs, beside(r.Segment.path, timeIndexSuffix))
	if err != nil {
		return r
	}
	times, terr := parseTimeIndex(content)
	content, err = readFile(r.Segment.fs, beside(r.Segment.path, indexSuffix))
	if err != nil || terr != nil {
		return r
	}
	x := index{times: times}
	if x.entries, err = parseIndex(content, r.Len); err != nil {
		return r
	}
	from := x.beforeTime(timestampMillis, r.Len, nil)
	return Range{r.Segment, from, r.Len - from}
}

func randomHex() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
