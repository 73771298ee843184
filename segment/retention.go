package segment

import (
	"errors"
	"fmt"
	"io/fs"

	"oneplusn/segment/mark"
)

// Expire removes segments from the log by Options.RetentionBytes and RetentionAge, and those below the log's start: whole ones, the
// oldest first, and only below the high watermark. remove, nil if there are none, removes their files; it may block and belongs
// off the loop. A range in flight keeps its file open. [Log.Work] first ends an active segment that expires; the next Expire
// removes it.
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
			mark.HitIf(s.size > 0, "the segment that is written to was to go by its age")
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

// expires reports whether the oldest segment is to be removed.
func (l *Log) expires(s *Segment, excess, nowMillis int64) bool {
	if s.next > l.highWatermark || l.working && !s.finished() {
		return false
	}
	if len(l.segments) > 1 && l.segments[1].base <= l.logStart {
		mark.Hit("a segment was to go because all of its records were deleted")
		return true
	}
	if s.size == 0 {
		return len(l.segments) > 1
	}
	mark.HitIf(excess >= s.size, "a segment was to go by the size of its log")
	return excess >= s.size ||
		l.options.RetentionAge >= 0 && nowMillis-s.latest(s.index.maxTimestamp) > l.options.RetentionAge.Milliseconds() ||
		s.next <= l.logStart
}

// removal releases segments and returns the removal of their files.
func (l *Log) removal(gone []*Segment) func() error {
	w, paths := l.worker, make([]string, 0, len(gone))
	for _, s := range gone {
		paths = append(paths, s.path)
		s.Release()
	}
	return func() error {
		var errs []error
		for _, path := range paths {
			if err := w.named(func() error { return removeSegment(w.fs, path) }); err != nil {
				errs = append(errs, fmt.Errorf("segment: removing %s: %w", path, err))
			}
		}
		return errors.Join(errs...)
	}
}

// removeSegment removes the files of a segment. It renames the .log first: after a crash, the other files mean nothing without it.
func removeSegment(fsys FS, path string) error {
	aside := path + removedSuffix
	if err := fsys.Rename(path, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // if it is gone, the others may still be there
	}
	for _, suffix := range []string{indexSuffix, timeIndexSuffix, txnIndexSuffix, snapshotSuffix} {
		if err := fsys.RemoveAll(beside(path, suffix)); err != nil {
			return err
		}
	}
	return fsys.RemoveAll(aside)
}

// removedSuffix marks files of segments that are being removed, as in Kafka.
const removedSuffix = ".deleted"

// DeleteRecords raises the log's start to offset, at most to the high watermark: otherwise [ErrOffsetOutOfRange]. The next
// [Log.Expire] removes files. Only [WriteCheckpoint] makes the start survive a restart.
func (l *Log) DeleteRecords(offset int64) error {
	if l.closed {
		return l.closedError()
	}
	if offset < 0 || offset > l.highWatermark {
		mark.Hit("records above the high watermark were to be deleted")
		return fmt.Errorf("%w: records can be deleted up to the high watermark %d, not up to %d", ErrOffsetOutOfRange, l.highWatermark, offset)
	}
	mark.HitIf(l.holder(offset).base < offset && offset < l.LogEndOffset(), "records were deleted up to the middle of a segment")
	l.logStart = max(l.LogStartOffset(), offset)
	l.lastRead = lastRead{}
	l.checkOffsets()
	return nil
}
