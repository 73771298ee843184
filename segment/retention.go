package segment

import (
	"errors"
	"fmt"
)

// Expire takes out of the log the segments that Options.RetentionBytes and RetentionAge no longer keep, and those below
// the log's start; whole ones, the oldest first, and only what can be read already. Their files go when remove is
// called, which may block and belongs off the loop; it is nil if there are none. A range under way keeps its file open.
func (l *Log) Expire(nowMillis int64) (remove func() error) {
	excess := int64(-1)
	if l.options.RetentionBytes >= 0 {
		excess = l.SizeBytes() - l.options.RetentionBytes
	}
	var gone []*Segment
	for len(l.segments) > 1 {
		s, next := l.segments[0], l.segments[1]
		bySize := excess >= s.size && s.size > 0
		byAge := l.options.RetentionAge >= 0 && s.index.maxTimestamp >= 0 &&
			nowMillis-s.index.maxTimestamp > l.options.RetentionAge.Milliseconds()
		if next.base > l.highWatermark || !(bySize || byAge || next.base <= l.logStart) {
			break
		}
		excess -= s.size
		gone = append(gone, s)
		l.segments = l.segments[1:]
	}
	if len(gone) == 0 {
		return nil
	}
	l.logStart = l.LogStartOffset()
	l.lookup = lookup{}
	return l.removal(gone)
}

// removal lets go of segments and returns what removes their files.
func (l *Log) removal(gone []*Segment) func() error {
	fs, paths := l.options.FS, make([]string, 0, len(gone))
	for _, s := range gone {
		paths = append(paths, s.path)
		s.Release()
	}
	return func() error {
		var errs []error
		for _, path := range paths {
			aside := path + ".deleted"
			err := fs.Rename(path, aside)
			if err == nil {
				err = fs.RemoveAll(aside)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("segment: removing %s: %w", path, err))
			}
		}
		return errors.Join(errs...)
	}
}

// DeleteRecords moves the log's start up to offset, at most to the high watermark: otherwise [ErrOffsetOutOfRange]. The
// files go with the next [Log.Expire]. To survive a restart the start has to be written down by [WriteCheckpoint].
func (l *Log) DeleteRecords(offset int64) error {
	if offset < 0 || offset > l.highWatermark {
		return fmt.Errorf("%w: records can be deleted up to %d, the high watermark; %d was asked for", ErrOffsetOutOfRange, l.highWatermark, offset)
	}
	l.logStart = max(l.LogStartOffset(), offset)
	l.lookup = lookup{}
	return nil
}
