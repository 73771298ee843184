package segment

import (
	"errors"
	"fmt"
	"io/fs"
)

// Expire takes out of the log the segments that Options.RetentionBytes and RetentionAge no longer keep, and those below
// the log's start; whole ones, the oldest first, and only what can be read already. Their files go when remove is
// called, which may block and belongs off the loop; it is nil if there are none. A range under way keeps its file open. An
// active segment that is not to be kept is ended by [Log.Work] first, and goes with the next Expire.
func (l *Log) Expire(nowMillis int64) (remove func() error) {
	if l.closed {
		return nil
	}
	l.workFailed = false
	l.producers.expire(nowMillis - l.options.ProducerExpiry.Milliseconds())
	excess := int64(-1)
	if l.options.RetentionBytes >= 0 {
		excess = l.SizeBytes() - l.options.RetentionBytes
	}
	var gone []*Segment
	for l.expires(l.segments[0], excess, nowMillis) {
		s := l.segments[0]
		if len(l.segments) == 1 {
			l.rollDue = s.size > 0 // the next Expire finds it closed
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
	l.lastRead = lastRead{}
	l.checkOffsets()
	return l.removal(gone)
}

// expires says that the oldest segment is not to be kept.
func (l *Log) expires(s *Segment, excess, nowMillis int64) bool {
	if s.next > l.highWatermark || l.working && !s.finished() {
		return false
	}
	if len(l.segments) > 1 && l.segments[1].base <= l.logStart {
		return true
	}
	if s.size == 0 {
		return len(l.segments) > 1
	}
	return excess >= s.size ||
		l.options.RetentionAge >= 0 && nowMillis-s.latest(s.index.maxTimestamp) > l.options.RetentionAge.Milliseconds() ||
		s.next <= l.logStart
}

// removal lets go of segments and returns what removes their files.
func (l *Log) removal(gone []*Segment) func() error {
	fsys, w, paths := l.options.FS, l.worker, make([]string, 0, len(gone))
	for _, s := range gone {
		paths = append(paths, s.path)
		s.Release()
	}
	return func() error {
		var errs []error
		for _, path := range paths {
			if err := w.named(func() error { return removeSegment(fsys, path) }); err != nil {
				errs = append(errs, fmt.Errorf("segment: removing %s: %w", path, err))
			}
		}
		return errors.Join(errs...)
	}
}

// removeSegment removes the files of a segment. The log's own goes out of the way first: whatever a crash leaves of the
// others is without meaning.
func removeSegment(fsys FS, path string) error {
	aside := path + removedSuffix
	if err := fsys.Rename(path, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // if it is gone already, the others are still to go
	}
	for _, suffix := range []string{indexSuffix, timeIndexSuffix, txnIndexSuffix, snapshotSuffix} {
		if err := fsys.RemoveAll(beside(path, suffix)); err != nil {
			return err
		}
	}
	return fsys.RemoveAll(aside)
}

// removedSuffix marks the files of segments that are being removed, as Kafka does.
const removedSuffix = ".deleted"

// DeleteRecords moves the log's start up to offset, at most to the high watermark: otherwise [ErrOffsetOutOfRange]. The
// files go with the next [Log.Expire]. To survive a restart the start has to be written down by [WriteCheckpoint].
func (l *Log) DeleteRecords(offset int64) error {
	if l.closed {
		return l.closedError()
	}
	if offset < 0 || offset > l.highWatermark {
		return fmt.Errorf("%w: records can be deleted up to %d, the high watermark; %d was asked for", ErrOffsetOutOfRange, l.highWatermark, offset)
	}
	l.logStart = max(l.LogStartOffset(), offset)
	l.lastRead = lastRead{}
	l.checkOffsets()
	return nil
}
