package segment

import (
	"path/filepath"

	"oneplusn/segment/mark"
)

func (l *Log) newSegment(file File, base int64) *Segment {
	return &Segment{
		fs:           l.options.FS,
		closer:       l.options.Closer,
		file:         file,
		path:         segmentPath(l.dir, base),
		base:         base,
		next:         base,
		capacity:     l.options.SegmentBytes,
		segmentTimes: segmentTimes{checked: true},
		index:        newIndex(l.options.IndexIntervalBytes),
		holds:        1,
	}
}

// preparedPath is the path of the next segment's file until its offset is known.
func preparedPath(dir string) string { return filepath.Join(dir, "next"+logSuffix+temporarySuffix) }

// wantsPrepared reports whether the active segment is nearly full. While a write begins the next one it may still be renaming the
// prepared file.
func (l *Log) wantsPrepared() bool {
	s := l.active()
	return l.prepared == nil && s.size > s.capacity-s.capacity/4 && !(l.writing.inFlight && l.writing.begins)
}

// rollWork ends an expired active segment and begins the next. Appends wait for it as for a write.
func (l *Log) rollWork() func() func() {
	w, err := l.BeginWrite()
	if err != nil {
		return nil
	}
	w.beginSegment(0)
	return func() func() {
		w.Run()
		return func() {
			if err := l.EndWrite(w); err != nil && !l.closed {
				mark.Hit("an expired segment could not be ended")
				l.rollDue = false // until the next Expire
				l.options.Logger.Warn("an expired segment could not be ended", "directory", l.dir, "error", err)
			}
		}
	}
}

// finished reports whether a closed segment's index is in its file.
func (s *Segment) finished() bool { return s.index.file != nil }
