package segment

import "fmt"

// rollFor begins a new segment if the active one cannot take n more bytes up to lastOffset, or is old enough. As in
// Kafka the age is the time from the first batch of the segment to the batch to be appended, by their own timestamps;
// without them, by the clock.
func (l *Log) rollFor(n, lastOffset, maxTimestamp, nowMillis int64) error {
	s := l.active()
	if s.size == 0 || s.fits(n, lastOffset) && s.ageMillis(maxTimestamp, nowMillis) <= l.options.SegmentAge.Milliseconds() {
		if s.size == 0 {
			s.createdMillis = nowMillis
		}
		return nil
	}
	return l.roll(nowMillis)
}

// roll ends the active segment and begins the next.
func (l *Log) roll(nowMillis int64) error {
	fresh, err := l.openSegment(l.active().next, true)
	if err != nil {
		return fmt.Errorf("%w: beginning a segment: %w", ErrStorage, err)
	}
	fresh.createdMillis = nowMillis
	// A file of that name can only be one that was begun and never written to with success.
	l.segments = append(l.segments, fresh)
	l.dirUnsynced = true
	return nil
}

func (s *Segment) ageMillis(timestamp, nowMillis int64) int64 {
	if s.firstTimestamp >= 0 {
		return timestamp - s.firstTimestamp
	}
	return nowMillis - s.createdMillis
}

func (l *Log) openSegment(base int64, create bool) (*Segment, error) {
	path := segmentPath(l.dir, base)
	f, err := l.options.FS.Open(path, create)
	if err != nil {
		return nil, err
	}
	return &Segment{
		file:           f,
		path:           path,
		base:           base,
		next:           base,
		capacity:       l.options.SegmentBytes,
		firstTimestamp: noTimestamp,
		index:          newIndex(l.options.IndexIntervalBytes),
		holds:          1,
	}, nil
}

// Work is file work that the log wants done off its thread: files for the next segment, and what closed segments leave
// behind. It is nil if there is none, which costs nothing to ask. work may block and touches nothing of the log; done,
// which it returns, runs on the log's thread. One is handed out at a time.
func (l *Log) Work() (work func() (done func())) { return nil }
