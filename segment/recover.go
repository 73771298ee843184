package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Open opens the log in a directory, which is made if it is missing, and recovers it. It may take long and block.
func Open(dir string, options Options, found OpenOptions) (*Log, error) {
	l := &Log{dir: dir, options: options.withDefaults(), logStart: found.LogStartOffset, worker: new(worker)}
	l.producers = newProducers(l.options.MaxProducers)
	if err := l.open(found.Clean); err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

func (l *Log) open(clean bool) error {
	names, err := l.openDir()
	if err != nil {
		return err
	}
	l.fromDisk = hasFailedSync(names)
	bases := offsetsOf(names, logSuffix)
	scanned := int64(-1) // the base of the first segment that was scanned
	for i, base := range bases {
		wasScanned, err := l.load(base, i == len(bases)-1, clean)
		if err != nil {
			return err
		}
		if wasScanned && scanned < 0 {
			scanned = base
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
	for _, step := range []func() error{
		func() error { return l.openProducers(offsetsOf(names, snapshotSuffix), scanned) },
		l.openTransactions, l.openEpochs, l.openMetadata,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if l.fromDisk {
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

// openDir lists the directory, after removing what was left half done.
func (l *Log) openDir() ([]string, error) {
	fsys := l.options.FS
	names, err := fsys.List(l.dir)
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
		if !strings.HasSuffix(name, temporarySuffix) && !strings.HasSuffix(name, removedSuffix) {
			continue
		}
		if err := fsys.RemoveAll(filepath.Join(l.dir, name)); err != nil {
			return nil, fmt.Errorf("segment: removing what was left half done: %w", err)
		}
	}
	return names, nil
}

// offsetsOf are the offsets in the names with a suffix, in ascending order.
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

// load finds out what there is of a segment, decides by the table, and acts.
func (l *Log) load(base int64, last, clean bool) (scanned bool, err error) {
	s, v, c, err := l.examine(base, last, clean)
	if err != nil {
		return false, err
	}
	scanned = v.damage != notScanned
	if scanned {
		l.options.Logger.Info("a segment was scanned", "case", c.label, "file", s.path, "bytes", v.validBytes, "batches", v.batches)
	}
	switch c.action {
	case refuse:
		return scanned, &DamagedError{Case: c.label, File: s.path, Position: v.validBytes, Reason: v.reason}
	case cut:
		if err := l.cutTail(s, v); err != nil {
			return scanned, err
		}
	}
	if !scanned {
		return false, nil
	}
	if last {
		return scanned, nil
	}
	s.index.seal()
	r := l.finishJob(s).run()
	if err := errors.Join(r.syncErr, r.err); err != nil {
		return scanned, fmt.Errorf("segment: rebuilding the indexes of %s: %w", s.path, err)
	}
	l.finish(s, r)
	return scanned, nil
}

// examine opens a segment and finds its case. It changes nothing on the disk.
func (l *Log) examine(base int64, last, clean bool) (*Segment, verdict, *recoveryCase, error) {
	path := segmentPath(l.dir, base)
	file, err := l.options.FS.Open(path, ReadWrite)
	if err != nil {
		return nil, verdict{}, nil, fmt.Errorf("segment: opening: %w", err)
	}
	s := l.newSegment(file, base)
	l.segments = append(l.segments, s)
	size, err := file.Size()
	if err != nil {
		return s, verdict{}, nil, fmt.Errorf("segment: %s: %w", path, err)
	}
	f := finding{last: last, clean: clean, index: indexMissing}
	v := verdict{nextOffset: base}
	if n := len(l.segments); n > 1 && l.segments[n-2].next > base {
		f.overlaps = true
		v.reason = fmt.Errorf("it begins at offset %d, the segment before it ends at %d", base, l.segments[n-2].next)
		return s, v, decide(f), nil
	}
	if !last || clean {
		if f.index, err = s.inspect(size, last); err != nil {
			l.options.Logger.Warn("an index is of no use and will be rebuilt", "index", f.index.String(), "file", path, "reason", err)
		}
	}
	c := decide(f)
	if c.action == scan {
		if err := s.settle(l.fromDisk); err != nil {
			return s, v, c, err
		}
		v = s.scan(size)
		f.damage = v.damage
		c = decide(f)
	}
	return s, v, c, nil
}

// settle sees to it that what is read from here on is what is on the disk, for readers will see it: the process may have
// ended before the data was synced, or after a sync that failed.
func (s *Segment) settle(fromDisk bool) error {
	err := s.file.Sync()
	if err != nil || fromDisk {
		s.file.DropCache()
	}
	if err != nil {
		return fmt.Errorf("segment: syncing %s: %w", s.path, err)
	}
	return nil
}

// scan reads the whole segment into a verdict and an index.
func (s *Segment) scan(size int64) verdict {
	s.index = newIndex(s.index.interval)
	s.size, s.next, s.codecs = 0, s.base, 0
	v := scanFile(s.file, size, s.base, func(h Batch, _ int64) { s.note(h) })
	s.capacity = max(s.capacity, s.size)
	return v
}

func (l *Log) cutTail(s *Segment, v verdict) error {
	size, err := s.file.Size()
	if err == nil {
		err = s.file.Truncate(v.validBytes)
	}
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("segment: cutting the torn tail of %s: %w", s.path, err)
	}
	l.options.Logger.Warn("a torn tail was cut", "case", "torn-tail", "file", s.path, "position", v.validBytes,
		"bytes_cut", size-v.validBytes, "next_offset", v.nextOffset, "reason", v.reason)
	return nil
}

// openActive makes the last segment ready for appends.
func (l *Log) openActive() error {
	if len(l.segments) == 0 || l.LogEndOffset() < l.logStart {
		// Nothing was there, or all that was there is deleted.
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
	// While a segment is written to it has no index files: if they are there after a crash, they are of a segment that
	// was finished.
	for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
		if err := l.options.FS.RemoveAll(beside(l.active().path, suffix)); err != nil {
			return fmt.Errorf("segment: removing an index that appends make stale: %w", err)
		}
	}
	l.dirUnsynced = true
	return nil
}

// DamagedError says that a log has damage that must not be cut. Nothing was changed.
type DamagedError struct {
	// Case is the row of the recovery table.
	Case string
	File string
	// Position is where the first byte is that is not part of a valid batch.
	Position int64
	Reason   error
}

func damaged(file string, position int64, reason error) error {
	return &DamagedError{Case: "damaged-while-served", File: file, Position: position, Reason: reason}
}

// Error names the file, the position and the remedy.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("segment: %s is damaged at %d (%s): %v; nothing was changed: restore the file from a copy, or look at it "+
		"with oneplusn check and give up what is behind the damage with oneplusn repair --cut-at-damage", e.File, e.Position, e.Case, e.Reason)
}

// Unwrap is the reason.
func (e *DamagedError) Unwrap() error { return e.Reason }
