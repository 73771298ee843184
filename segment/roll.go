package segment

import (
	"fmt"
	"path/filepath"
)

// rollFor begins a new segment if the active one cannot take n more bytes up to lastOffset, or is old enough. As in
// Kafka the age is the time from the first batch of the segment to the batch to be appended, by their own timestamps;
// without them, by the clock.
func (l *Log) rollFor(n, lastOffset, maxTimestamp, nowMillis int64) error {
	s := l.active()
	if s.size == 0 {
		s.createdMillis = nowMillis
		return nil
	}
	s.createdMillis = or(s.createdMillis, nowMillis)
	if s.fits(n, lastOffset) && s.ageMillis(maxTimestamp, nowMillis) <= l.options.SegmentAge.Milliseconds() {
		return nil
	}
	return l.roll(nowMillis)
}

func (s *Segment) ageMillis(timestamp, nowMillis int64) int64 {
	if s.firstTimestamp >= 0 {
		return timestamp - s.firstTimestamp
	}
	return nowMillis - s.createdMillis
}

// roll ends the active segment and begins the next, in the file that was prepared or else in one that is made here.
func (l *Log) roll(nowMillis int64) error {
	last := l.active()
	if err := last.cutLeftovers(); err != nil {
		return err
	}
	path, file := segmentPath(l.dir, last.next), l.prepared
	var err error
	if file != nil {
		err = l.options.FS.Rename(l.preparedPath(), path)
	} else {
		file, err = l.options.FS.Open(path, Create)
	}
	if err != nil {
		return fmt.Errorf("%w: beginning the segment %s: %w", ErrStorage, path, err)
	}
	l.prepared, l.wantPrepared = nil, false
	last.index.seal()
	last.snapshot = l.producers.encode()
	fresh := l.newSegment(file, last.next)
	fresh.createdMillis = nowMillis
	l.segments = append(l.segments, fresh)
	l.dirUnsynced, l.workFailed = true, false
	return nil
}

func (l *Log) newSegment(file File, base int64) *Segment {
	return &Segment{
		fs:             l.options.FS,
		file:           file,
		path:           segmentPath(l.dir, base),
		base:           base,
		next:           base,
		capacity:       l.options.SegmentBytes,
		firstTimestamp: noTimestamp,
		index:          newIndex(l.options.IndexIntervalBytes),
		holds:          1,
	}
}

// preparedPath is the file of the next segment until its offset is known.
func (l *Log) preparedPath() string { return filepath.Join(l.dir, "next"+logSuffix+temporarySuffix) }

// wantsPrepared says that the active segment will soon be full.
func (l *Log) wantsPrepared() bool {
	s := l.active()
	return l.prepared == nil && (l.wantPrepared || s.size > s.capacity-s.capacity/4)
}

// finished says that a closed segment's index is in its file.
func (s *Segment) finished() bool { return s.index.file != nil }
