package segment

import (
	"errors"
	"fmt"
	"io"

	"oneplusn/segment/records"
)

// TimeSearch searches one segment for the first record with a timestamp at or after a given one. It holds the segment until Release.
type TimeSearch struct {
	// Run sets these. Offset and Timestamp are the record's, or -1 and -1 if the segment has none.
	Offset, Timestamp int64
	Err               error

	rng             Range
	file            File
	timestampMillis int64
	from            int64
	ran, released   bool
}

// SearchTime makes a search among the records at or above the offset from, or nil if the log knows that there is none.
func (l *Log) SearchTime(timestampMillis, from int64) *TimeSearch {
	if l.closed {
		return nil
	}
	from = max(from, l.LogStartOffset())
	r := l.atTime(timestampMillis, from)
	if r.Len == 0 {
		return nil
	}
	r.Segment.Retain()
	return &TimeSearch{Offset: -1, Timestamp: -1, rng: r, file: r.Segment.file, timestampMillis: timestampMillis, from: from}
}

// Release releases the segment, once. The result stays valid.
func (s *TimeSearch) Release() {
	if s.released {
		panic("segment: a search by time is released twice: " + s.rng.Segment.path)
	}
	s.released = true
	s.rng.Segment.Release()
}

// NextOffset is the offset to continue at, in the next segment, if this one has no such record.
func (s *TimeSearch) NextOffset() int64 { return s.rng.Segment.next }

// atTime is the part of the first segment whose batches promise such a record, or empty.
func (l *Log) atTime(timestampMillis, from int64) Range {
	for _, s := range l.segments[l.position(from):] {
		if s.visible == 0 || s.index.maxTimestamp < timestampMillis || s.next <= from {
			continue
		}
		at := int64(0)
		if s.index.file == nil {
			at = min(s.index.beforeTime(timestampMillis, s.visible, &l.scratch), s.visible)
		}
		return s.span(at, s.visible)
	}
	return Range{}
}

// narrow drops batches at the start of the range that are earlier by the segment's index files. Without the files it changes
// nothing.
func (r Range) narrow(timestampMillis int64) Range {
	if r.Segment == nil || r.Pos > 0 {
		return r
	}
	var x index
	if err := r.Segment.readIndexFiles(&x, r.Len); err != nil {
		return r
	}
	from := x.beforeTime(timestampMillis, r.Len, nil)
	return Range{r.Segment, from, r.Len - from}
}

// Run makes the search, and inflates the records of a batch to at most maxInflatedBytes. It may block. Any goroutine may call it,
// once.
func (s *TimeSearch) Run(maxInflatedBytes int64) {
	if s.ran || s.released {
		panic(fmt.Sprintf("segment: a search by time of %s runs again, or after its release (%v)", s.rng.Segment.path, s.released))
	}
	s.ran = true
	r := s.rng.narrow(s.timestampMillis)
	err := walkFile(s.file, r.Pos+r.Len, s.rng.Segment.base, r.Pos, func(h records.Batch, at int64) bool {
		if h.MaxTimestamp >= s.timestampMillis && h.LastOffset() >= s.from {
			s.Err = s.inBatch(h, at, maxInflatedBytes)
		}
		return s.Err == nil && s.Offset < 0
	})
	if s.Err == nil && err != nil {
		s.Err = fmt.Errorf("segment: searching %s by time: %w", s.rng.Segment.path, err)
	}
}

// inBatch searches a batch whose header promises such a record. Like Apache Kafka it does not trust the header. If the batch cannot
// be inflated within the limit, its start is the closest answer that skips nothing.
func (s *TimeSearch) inBatch(h records.Batch, at, maxInflatedBytes int64) error {
	start := max(h.BaseOffset, s.from)
	if h.Attributes.Has(records.AppendTime) { // all records have the time of the append
		s.Offset, s.Timestamp = start, h.MaxTimestamp
		return nil
	}
	raw := make([]byte, h.Size())
	if err := readWhole(s.file, raw, at); err != nil {
		return fmt.Errorf("segment: searching %s by time: %w", s.rng.Segment.path, err)
	}
	reader := records.Reader{Large: true}
	err := reader.Each(h, raw, maxInflatedBytes, func(offset, timestamp int64, _ *records.Record) bool {
		if timestamp < s.timestampMillis || offset < s.from {
			return true
		}
		s.Offset, s.Timestamp = offset, timestamp
		return false
	})
	if err != nil {
		s.Offset, s.Timestamp = start, h.MaxTimestamp
	}
	return nil
}

// readWhole fills b or fails.
func readWhole(f io.ReaderAt, b []byte, at int64) error {
	n, err := f.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%d of %d bytes at %d: %w", n, len(b), at, err)
}
