package segment

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
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
// resident, the range begins at most one index interval earlier, which consumers skip, or ends at the next entry of the
// index, above maxBytes. Either way the next fetch of a sequential reader begins at an entry, and is exact.
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
	s := l.find(offset)
	if offset >= s.next {
		// The offsets up to the next segment were compacted away.
		s = l.find(s.next)
		for s.next <= offset {
			s = l.segments[l.position(s)+1]
		}
		offset = max(offset, s.base)
	}
	start, mustReach := l.start(s, offset)
	end := l.end(s, start, mustReach, maxBytes)
	l.lookup = lookup{offset, maxBytes, Range{s, start, end - start}}
	return l.lookup.found, nil
}

func (l *Log) position(s *Segment) int {
	for i, other := range l.segments {
		if other == s {
			return i
		}
	}
	return -1
}

// start is where the batch that contains offset begins, or an earlier batch if that can't be told without a disk.
// mustReach is a position that the range has to go beyond so that it contains the offset for certain.
func (l *Log) start(s *Segment, offset int64) (start, mustReach int64) {
	e, exact := s.index.floor(uint32(offset - s.base))
	at := int64(e.position)
	if exact {
		return at, at
	}
	limit := s.visible
	if next, ok := s.index.boundaryAfter(at); ok {
		limit = int64(next.position)
	}
	if found, ok := l.scan(s, at, limit, func(h Batch, _ int64) bool { return h.NextOffset() > offset }); ok {
		return found, found
	}
	return at, limit - 1
}

// end is where the range that begins at start ends.
func (l *Log) end(s *Segment, start, mustReach, maxBytes int64) int64 {
	if s.visible-start <= maxBytes {
		return s.visible
	}
	if e := int64(s.index.boundaryBefore(start + maxBytes).position); e > mustReach && e > start {
		return e
	}
	// No entry of the index lies within maxBytes: the first batches are looked at one by one.
	limit := s.visible
	if next, ok := s.index.boundaryAfter(mustReach); ok {
		limit = int64(next.position)
	}
	cut := int64(0)
	_, looked := l.scan(s, start, limit, func(h Batch, at int64) bool {
		end := at + int64(h.Size())
		if end <= start+maxBytes || at <= mustReach {
			cut = end
		}
		return end > start+maxBytes
	})
	if cut > mustReach && (looked || cut > start) {
		return cut
	}
	return limit
}

// scratch is where scan reads headers to.
type scratch struct {
	buf    [4096 + BatchHeaderSize]byte
	vector unix.Iovec
}

// scan looks at the batches between from and limit until stop says that one is it. It looks at resident pages only: ok
// is false when it would have to wait for a disk, or came to the limit.
func (l *Log) scan(s *Segment, from, limit int64, stop func(h Batch, at int64) bool) (at int64, ok bool) {
	for at = from; at < limit; {
		n := l.readResident(s, at)
		if n < BatchHeaderSize {
			return 0, false
		}
		for used := 0; used+BatchHeaderSize <= n && at < limit; {
			h, err := ParseBatch(l.scratch.buf[used:n])
			if err != nil {
				return 0, false
			}
			if stop(h, at) {
				return at, true
			}
			at += int64(h.Size())
			used += h.Size()
		}
	}
	return 0, false
}

// readResident reads from the file at a position as far as the pages are in the page cache (preadv2(2) with
// RWF_NOWAIT, Linux 4.14).
func (l *Log) readResident(s *Segment, at int64) int {
	v := &l.scratch.vector
	v.Base = &l.scratch.buf[0]
	v.SetLen(int(min(int64(len(l.scratch.buf)), s.visible-at)))
	n, _, errno := unix.Syscall6(unix.SYS_PREADV2, uintptr(s.file.Fd()), uintptr(unsafe.Pointer(v)), 1,
		uintptr(at), 0, unix.RWF_NOWAIT)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// AtTime is the range in which the first record of that time or later is to be found, from the batches' own times: one
// interval of the index. It is empty if there is none. Which record it is has to be read from the batches.
func (l *Log) AtTime(timestampMillis int64) Range {
	for _, s := range l.segments {
		if s.visible == 0 || s.index.maxTimestamp < timestampMillis {
			continue
		}
		if from, to, ok := s.index.atTime(timestampMillis); ok {
			return Range{s, from, min(to, s.visible) - from}
		}
	}
	return Range{}
}

func randomHex() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
