package segment

import (
	"fmt"
	"path/filepath"
	"slices"

	"oneplusn/segment/mark"
	"oneplusn/segment/records"
)

// openProducers loads the latest snapshot that is not behind the log's end, and replays the batches after it. Without one it
// replays the scanned segments: a producer that wrote nothing there stays unknown. Then it finishes segments.
func (l *Log) openProducers(snapshots []int64, scanned int64) error {
	from := scanned
	l.producers.forgot = from > 0
	for _, snapshot := range slices.Backward(snapshots) {
		path := filePath(l.dir, snapshot, snapshotSuffix)
		if snapshot > l.LogEndOffset() {
			mark.Hit("a start removed a producer snapshot of what was cut")
			// It describes batches that were cut, and would look valid once other batches have their offsets.
			if err := l.options.FS.RemoveAll(path); err != nil {
				return fmt.Errorf("segment: removing a producer snapshot of what was cut: %w", err)
			}
			l.dirUnsynced = true
			continue
		}
		content, err := ReadFile(l.options.FS, path)
		var list []producer
		if err == nil {
			list, err = parseSnapshot(content)
		}
		if err != nil {
			mark.Hit("a start met a damaged producer snapshot")
			l.options.Logger.Warn("a producer snapshot is damaged: an older one is used", "file", path, "error", err)
			continue
		}
		l.producers.load(list, l.seenMillis)
		if err := l.replayTail(snapshot); err != nil {
			return err
		}
		from, l.producers.forgot = snapshot, !l.knewAllProducers()
		break
	}
	var before []byte // the snapshot at the base of the active segment
	for _, s := range l.segments {
		if s == l.active() && from < s.base {
			before = l.producers.encode()
		}
		if s.next <= from || s.size == 0 {
			continue
		}
		at := s.index.find(relative(max(from, s.base), s.base), s.size, &l.scratch).from
		err := walkFile(s.file, s.size, s.base, at, func(h records.Batch, pos int64) bool {
			if h.BaseOffset >= from {
				mark.HitIf(h.ProducerID >= 0, "a start read a producer's batch behind the last snapshot")
				l.producers.replay(h, s.appendedMillis)
			}
			at = pos + int64(h.Size())
			return true
		})
		if isReadError(err) {
			return fmt.Errorf("segment: reading the producers of %s: %w", s.path, err)
		}
		if err != nil {
			return damaged(s.path, at, err)
		}
	}
	return l.finishScanned(before)
}

// knewAllProducers reports whether a snapshot has every producer that ever wrote to the log: the limit evicted none, and the log is
// younger than the time after which they expire. partition.metadata is as old as the partition.
func (l *Log) knewAllProducers() bool {
	if len(l.producers.byID) >= l.producers.limit {
		return false
	}
	f, err := l.options.FS.Open(filepath.Join(l.dir, partitionFile), ReadOnly)
	if err != nil {
		return false
	}
	made, err := f.Stat()
	_ = f.Close()
	return err == nil && l.options.Now().Sub(made.ModTime()) < l.options.ProducerExpiry
}

// seenMillis is the latest time at which the batch at an offset can have been appended; said is the snapshot's time, which
// counts if retention removed the batch.
func (l *Log) seenMillis(offset, said int64) int64 {
	s := l.segments[l.position(offset)]
	if s.size == 0 || offset < s.base {
		return min(said, l.options.Now().UnixMilli())
	}
	return s.appendedMillis
}

// historyBytes is the distance before a snapshot's offset in which a start looks for the batches that it lacks: those that were in
// flight when it was taken.
const historyBytes = 8 << 20

// replayTail reads the batches before a snapshot, which has only the last one of each producer.
func (l *Log) replayTail(snapshot int64) error {
	var pieces [][]sequence // from the last segment to the first
	left := int64(historyBytes)
	for i := l.position(snapshot); i >= 0 && left > 0; i-- {
		s := l.segments[i]
		if s.size == 0 || snapshot <= s.base {
			continue
		}
		end := s.index.find(relative(min(snapshot, s.next)-1, s.base), s.size, &l.scratch).end
		from, _ := s.index.boundaryBefore(max(end-left, 0), &l.scratch)
		piece, err := s.sequences(from, snapshot)
		if isReadError(err) {
			return fmt.Errorf("segment: reading the producers of %s: %w", s.path, err)
		}
		if err != nil {
			// Readers get an error there. Here it only concerns retries of long ago.
			l.options.Logger.Warn("a segment is damaged: duplicates from before the damage are not recognized", "file", s.path, "reason", err)
			break
		}
		pieces = append(pieces, piece)
		left -= end - from
	}
	slices.Reverse(pieces)
	l.producers.fillHistory(slices.Concat(pieces...))
	return nil
}

// sequences are those of all idempotent producers' batches from a position up to an offset.
func (s *Segment) sequences(from, before int64) (list []sequence, err error) {
	err = walkFile(s.file, s.size, s.base, from, func(h records.Batch, _ int64) bool {
		if h.BaseOffset >= before {
			return false
		}
		if h.ProducerID >= 0 && h.BaseSequence >= 0 && !h.Attributes.Has(records.Control) {
			list = append(list, sequenceOf(h))
		}
		return true
	})
	return list, err
}

// removeStraySnapshots keeps the snapshots at the bases of segments and the one at the end.
func (l *Log) removeStraySnapshots() error {
	names, err := listNames(l.options.FS, l.dir)
	if err != nil {
		return err
	}
	keep := map[int64]bool{l.LogEndOffset(): true}
	for _, s := range l.segments {
		keep[s.base] = true
	}
	for _, offset := range offsetsOf(names, snapshotSuffix) {
		if !keep[offset] {
			if err := l.options.FS.RemoveAll(filePath(l.dir, offset, snapshotSuffix)); err != nil {
				return err
			}
		}
	}
	return nil
}
