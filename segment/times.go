package segment

import (
	"fmt"
	"time"

	"oneplusn/segment/records"
)

// segmentTimes are what a segment's age counts from, in milliseconds of the server's clock. What records say of their time
// is for retention only, and bounded by when they were appended: a producer's clock may be anywhere.
type segmentTimes struct {
	// createdMillis is when the first batch was appended, 0 while there is none.
	createdMillis int64
	// appendedMillis is when the last one was. After a restart it is the time of the file's last change, which outlives it
	// and is at most too late: then a segment is kept for longer.
	appendedMillis int64
	// checked says that every batch was checked when it was appended, so that the latest timestamp is that of a record. An
	// opened segment may have been written by a server that believed what headers said.
	checked bool
}

// appended notes an append.
func (t *segmentTimes) appended(createdMillis, nowMillis int64) {
	t.createdMillis = createdMillis
	t.appendedMillis = max(t.appendedMillis, nowMillis)
}

// latest is the time that retention counts from: that of the latest record, which is no later than its append. Where
// nobody vouches for it, or there is none, it is the last append.
func (t *segmentTimes) latest(maxTimestamp int64) int64 {
	if !t.checked || maxTimestamp < 0 {
		return t.appendedMillis
	}
	return min(maxTimestamp, t.appendedMillis)
}

// openTimes finds out what is known of the times of a segment that was written in an earlier life. A file that was copied
// may have any time of change: then the latest timestamp counts, unless it is in the future.
func (s *Segment) openTimes() error {
	modified, err := s.file.Modified()
	if err != nil {
		return fmt.Errorf("segment: %s: %w", s.path, err)
	}
	first, _ := s.firstTimestamp(s.size) // of a segment that opened; whoever reads it is told if it has gone bad
	t := segmentTimes{appendedMillis: modified}
	if latest := s.index.maxTimestamp; latest <= time.Now().UnixMilli() {
		t.appendedMillis = max(modified, latest)
	}
	if t.createdMillis = t.appendedMillis; first >= 0 && first < t.createdMillis {
		t.createdMillis = first
	}
	s.segmentTimes = t
	return nil
}

// firstTimestamp is the latest of the first batch, in milliseconds, or -1.
func (s *Segment) firstTimestamp(size int64) (millis int64, err error) {
	millis = records.NoTimestamp
	err = walkFile(s.file, size, s.base, 0, func(h records.Batch, _ int64) bool {
		millis = h.MaxTimestamp
		return false
	})
	return millis, err
}
