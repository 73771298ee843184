package segment

import (
	"fmt"
	"time"

	"oneplusn/segment/records"
)

// segmentTimes are the times that a segment's age counts from, in milliseconds of the server's clock. The timestamps of records
// count for retention only, up to the time of their append: a producer's clock may show any time.
type segmentTimes struct {
	// createdMillis is the time of the first append, 0 while there is none.
	createdMillis int64
	// appendedMillis is the time of the last append. After a restart it is the file's modification time, which can only be
	// too late: then retention keeps the segment for longer.
	appendedMillis int64
	// checked: every batch was checked when it was appended, so the latest timestamp is that of a record. An opened segment
	// may come from a server that did not compare headers with records.
	checked bool
}

func (t *segmentTimes) appended(createdMillis, nowMillis int64) {
	t.createdMillis = createdMillis
	t.appendedMillis = max(t.appendedMillis, nowMillis)
}

// latest is the time that retention counts from: that of the latest record, but no later than its append. If it is unchecked or
// missing it is the time of the last append.
func (t *segmentTimes) latest(maxTimestamp int64) int64 {
	if !t.checked || maxTimestamp < 0 {
		return t.appendedMillis
	}
	return min(maxTimestamp, t.appendedMillis)
}

// openTimes recovers the times of a segment from an earlier run. A copied file may have any modification time: then the latest
// timestamp counts, unless it is in the future.
func (s *Segment) openTimes(now time.Time) error {
	info, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("segment: %s: %w", s.path, err)
	}
	first, _ := s.firstTimestamp(s.size) // the segment opened; later damage is an error of reads
	t := segmentTimes{appendedMillis: info.ModTime().UnixMilli()}
	if latest := s.index.maxTimestamp; latest <= now.UnixMilli() {
		t.appendedMillis = max(t.appendedMillis, latest)
	}
	if t.createdMillis = t.appendedMillis; first >= 0 && first < t.createdMillis {
		t.createdMillis = first
	}
	s.segmentTimes = t
	return nil
}

// firstTimestamp is the latest timestamp of the first batch, in milliseconds, or -1.
func (s *Segment) firstTimestamp(size int64) (millis int64, err error) {
	millis = records.NoTimestamp
	err = walkFile(s.file, size, s.base, 0, func(h records.Batch, _ int64) bool {
		millis = h.MaxTimestamp
		return false
	})
	return millis, err
}
