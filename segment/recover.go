package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"

	"oneplusn/segment/mark"
	"oneplusn/segment/records"
)

// Open opens and recovers the log in a directory, and makes a missing directory. It blocks, and may take long.
func Open(dir string, options Options, found OpenOptions) (*Log, error) {
	l := &Log{dir: dir, options: options.withDefaults(), logStart: found.LogStartOffset}
	l.worker = &worker{fs: l.options.FS}
	l.producers = newProducers(l.options.MaxProducers)
	if err := l.open(found); err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

func (l *Log) open(found OpenOptions) error {
	names, err := l.openDir()
	if err != nil {
		return err
	}
	v := newSurvey(l.options.FS, l.dir, names, found)
	scanned := int64(-1) // the base of the first segment that was scanned
	shorter := false     // something was cut
	for i, base := range v.bases {
		did, err := l.load(v, i)
		if err != nil {
			return err
		}
		if did.scanned && scanned < 0 {
			scanned = base
		}
		if err := l.loadedSegment(); err != nil {
			return err
		}
		if shorter = did.cut; shorter {
			break
		}
	}
	if err := l.openActive(); err != nil {
		return err
	}
	for _, s := range l.segments {
		s.visible, s.synced = s.size, s.size
	}
	l.highWatermark, l.durable = l.LogEndOffset(), l.LogEndOffset()
	if scanned < 0 {
		scanned = l.active().base
	}
	shorter = l.noteMissing(v) || shorter
	for _, step := range []func() error{
		func() error { return l.openProducers(offsetsOf(names, snapshotSuffix), scanned) },
		l.openTransactions,
		func() error { return l.openEpochs(!found.Clean || shorter) },
		l.openMetadata,
		func() error { return l.openSyncedAcks(v.synced) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	l.checkOffsets()
	if v.fromDisk {
		if err := l.forgetFailedSync(); err != nil {
			return err
		}
		l.dirUnsynced = true
	}
	if l.dirUnsynced {
		l.dirUnsynced = false
		return l.syncDir()
	}
	return nil
}

// loadedSegment reads the times of the last loaded segment, and makes the one before it evictable.
func (l *Log) loadedSegment() error {
	n := len(l.segments)
	if s := l.segments[n-1]; s.size > 0 {
		if err := s.openTimes(l.options.Now()); err != nil {
			return err
		}
	}
	if n > 1 {
		l.makeEvictable(l.segments[n-2])
	}
	return nil
}

// noteMissing reports and logs that the log ends below its recovery point.
func (l *Log) noteMissing(v *survey) bool {
	if !v.missing(l.LogEndOffset()) {
		return false
	}
	mark.Hit("a log ended below its recovery point")
	l.options.Logger.Error("records that were durable are gone: the log ends below its recovery point", "directory", l.dir,
		"end_offset", l.LogEndOffset(), "recovery_point", v.found.RecoveryPoint,
		"remedy", "look for errors of the disk; if a copy of the directory has more, stop the server and put it in place")
	return true
}

// leftover are the names of files that an interrupted write or removal leaves in a partition's directory, here or in Apache
// Kafka, including the broker's configuration of the topic. A start removes no others, whatever their suffix.
var leftover = regexp.MustCompile(`^(` +
	`(next\.log|[0-9]{20}\.(log|index|timeindex|txnindex|snapshot)|leader-epoch-checkpoint|partition\.metadata|topic\.properties(\.[0-9]+)?)\.tmp|` +
	`[0-9]{20}\.(log|index|timeindex|txnindex|snapshot)\.deleted)$`)

// openDir lists the directory, after removing leftovers.
func (l *Log) openDir() ([]string, error) {
	fsys := l.options.FS
	names, err := listNames(fsys, l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := fsys.MkdirAll(l.dir); err != nil {
			return nil, fmt.Errorf("segment: making %s: %w", l.dir, err)
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("segment: listing %s: %w", l.dir, err)
	}
	for _, name := range names {
		if !leftover.MatchString(name) {
			continue
		}
		mark.Hit("a start removed what an interrupted write had left")
		if err := fsys.RemoveAll(filepath.Join(l.dir, name)); err != nil {
			return nil, fmt.Errorf("segment: removing the leftovers of an interrupted write: %w", err)
		}
	}
	return names, nil
}

// offsetsOf are the offsets in the names with a suffix, ascending.
func offsetsOf(names []string, suffix string) []int64 {
	var offsets []int64
	for _, name := range names {
		if offset, ok := parseName(name, suffix); ok {
			offsets = append(offsets, offset)
		}
	}
	slices.Sort(offsets)
	return offsets
}

type loaded struct{ scanned, cut bool }

// load examines a segment, decides by the table, and acts. After a cut the log ends with that segment.
func (l *Log) load(v *survey, i int) (did loaded, err error) {
	s, f, found, err := l.examine(v, i)
	if err != nil {
		return did, err
	}
	c := decide(f)
	did = loaded{scanned: f.damage != notScanned, cut: c.action == cut}
	mark.HitIf(did.scanned && f.place == unfinished, "a start scanned a segment that was closed and not finished")
	if did.scanned {
		l.options.Logger.Info("a segment was scanned", "case", c.label, "file", s.path, "bytes", found.validBytes, "batches", found.batches)
	}
	switch c.action {
	case refuse:
		mark.Hit("a start refused a damaged log")
		return did, &DamagedError{Case: c.label, File: s.path, Position: found.validBytes, Offset: found.nextOffset, Reason: found.reason}
	case cut:
		mark.HitIf(found.damage == tornTail, "a start cut a torn tail")
		mark.HitIf(found.damage == interior, "a start cut a hole, and the batches behind it that nobody was promised")
		return did, l.cutAt(v, i, s, found, c)
	}
	if !did.scanned || f.place != closed {
		return did, nil // see finishScanned
	}
	return did, finishAgain(l, s)
}

// finishAgain finishes a segment that a start has scanned.
func finishAgain(l *Log, s *Segment) error {
	mark.Hit("a start rebuilt the index of a segment")
	s.index.seal()
	r := finishJob{*s, l.worker, l.dir}.run()
	if err := errors.Join(r.syncErr, r.err); err != nil {
		return fmt.Errorf("segment: rebuilding the indexes of %s: %w", s.path, err)
	}
	l.finish(s, r)
	return nil
}

// finishScanned finishes the segments that the last run had not. The next start reads the producers of no finished segment, so their
// snapshot comes first.
func (l *Log) finishScanned(producers []byte) error {
	for _, s := range l.segments[:len(l.segments)-1] {
		if s.finished() {
			continue
		}
		if producers != nil {
			if err := putFile(l.options.FS, filePath(l.dir, l.active().base, snapshotSuffix), producers); err != nil {
				return fmt.Errorf("segment: remembering the producers of %s: %w", l.dir, err)
			}
			producers = nil
		}
		if err := finishAgain(l, s); err != nil {
			return err
		}
		l.makeEvictable(s)
	}
	return nil
}

// examine opens a segment and finds everything that its case depends on. It changes nothing on the disk.
func (l *Log) examine(v *survey, i int) (*Segment, finding, verdict, error) {
	base := v.bases[i]
	path := segmentPath(l.dir, base)
	f, found := v.finding(i), verdict{nextOffset: base}
	file, err := l.options.FS.Open(path, ReadWrite)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, f, found, lost(path, err)
	}
	if err != nil {
		return nil, f, found, fmt.Errorf("segment: opening: %w", err)
	}
	s := l.newSegment(file, base)
	l.segments = append(l.segments, s)
	info, err := file.Stat()
	if err != nil {
		return s, f, found, fmt.Errorf("segment: %s: %w", path, err)
	}
	if n := len(l.segments); n > 1 && l.segments[n-2].next > base {
		f.overlaps = true
		found.reason = fmt.Errorf("it begins at offset %d, the segment before it ends at %d", base, l.segments[n-2].next)
		return s, f, found, nil
	}
	if f.place == closed || f.clean {
		if f.index, err = s.inspect(info.Size(), f.place == last); err != nil {
			l.options.Logger.Warn("an index cannot be used and will be rebuilt", "index", f.index.String(), "file", path, "reason", err)
		}
	}
	if decide(f).action != scan {
		return s, f, found, nil
	}
	if err := s.syncBeforeScan(v.fromDisk); err != nil {
		return s, f, found, err
	}
	found = s.scan(info.Size())
	return s, f, found, v.conclude(&f, i, &found)
}

// syncBeforeScan makes the data that a scan will read durable, since readers will see it: the process may have ended before its
// sync, or after a failed one.
func (s *Segment) syncBeforeScan(fromDisk bool) error {
	err := s.file.Sync()
	if err != nil || fromDisk {
		s.file.DropCache()
	}
	if err != nil {
		mark.Hit("a sync before a scan failed")
		return fmt.Errorf("segment: syncing %s: %w", s.path, err)
	}
	return nil
}

// scan reads the whole segment into a verdict and an index.
func (s *Segment) scan(size int64) verdict {
	s.index = newIndex(s.index.interval)
	s.size, s.next, s.codecs = 0, s.base, 0
	v := scanFile(s.file, size, s.base, func(h records.Batch, _ int64) { s.note(h) })
	s.capacity = max(s.capacity, s.size)
	return v
}

// cutAt ends the log in a segment before its damage. It removes the segments behind it first, the last one before the others: a
// crash in between leaves a log with the same damage.
func (l *Log) cutAt(v *survey, i int, s *Segment, found verdict, c *recoveryCase) error {
	dropped := v.bases[i+1:]
	for _, base := range slices.Backward(dropped) {
		if err := removeSegment(l.options.FS, segmentPath(l.dir, base)); err != nil {
			return fmt.Errorf("segment: dropping what lies behind the damage of %s: %w", s.path, err)
		}
	}
	if len(dropped) > 0 {
		mark.Hit("a start dropped the segments behind a cut")
		if err := l.syncDir(); err != nil {
			return err
		}
	}
	info, err := s.file.Stat()
	if err == nil {
		err = s.file.Truncate(found.validBytes)
	}
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("segment: cutting %s at %d: %w", s.path, found.validBytes, err)
	}
	l.options.Logger.Warn("the end of a log was damaged by a crash and was cut", "case", c.label, "file", s.path,
		"position", found.validBytes, "next_offset", found.nextOffset, "bytes_cut", info.Size()-found.validBytes, "segments_dropped", len(dropped),
		"recovery_point", v.found.RecoveryPoint, "reason", found.reason, "remedy", "with --fsync=always a crash loses nothing acknowledged")
	return nil
}

// openActive makes the last segment ready for appends.
func (l *Log) openActive() error {
	if len(l.segments) == 0 || l.LogEndOffset() < l.logStart {
		mark.HitIf(len(l.segments) > 0, "a log ended below its start and was begun again there")
		// There was nothing, or DeleteRecords deleted all of it.
		path := segmentPath(l.dir, l.logStart)
		file, err := l.options.FS.Open(path, Create)
		if err != nil {
			return fmt.Errorf("segment: beginning a log in %s: %w", l.dir, err)
		}
		l.segments = append(l.segments, l.newSegment(file, l.logStart))
		l.dirUnsynced = true
		// The directory may have been made a moment ago.
		if err := l.options.FS.SyncDir(filepath.Dir(l.dir)); err != nil {
			return fmt.Errorf("segment: making %s: %w", l.dir, err)
		}
		return nil
	}
	// The active segment has no index files. After a clean stop it does, and after a crash it may, if it was finished before.
	for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
		if err := l.options.FS.RemoveAll(beside(l.active().path, suffix)); err != nil {
			return fmt.Errorf("segment: removing an index that appends make stale: %w", err)
		}
	}
	l.dirUnsynced = true
	return nil
}
