package segment

import (
	"fmt"
	"slices"
)

// Open opens the log in a directory, which is made if it is missing, and recovers it. It may take long and block.
func Open(dir string, options Options, found OpenOptions) (*Log, error) {
	l := &Log{dir: dir, options: options.withDefaults(), logStart: found.LogStartOffset}
	l.producers = newProducers(l.options.MaxProducers)
	if err := l.open(); err != nil {
		l.release()
		return nil, err
	}
	for _, s := range l.segments {
		s.visible = s.size
	}
	l.highWatermark = l.LogEndOffset()
	return l, nil
}

func (l *Log) open() error {
	fs := l.options.FS
	if err := fs.MkdirAll(l.dir); err != nil {
		return fmt.Errorf("segment: making %s: %w", l.dir, err)
	}
	names, err := fs.List(l.dir)
	if err != nil {
		return fmt.Errorf("segment: listing %s: %w", l.dir, err)
	}
	var bases []int64
	for _, name := range names {
		if base, ok := parseSegmentName(name); ok {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	for i, base := range bases {
		if err := l.load(base, i == len(bases)-1); err != nil {
			return err
		}
	}
	if len(l.segments) > 0 {
		return nil
	}
	s, err := l.openSegment(0, true)
	if err != nil {
		return fmt.Errorf("segment: beginning a log in %s: %w", l.dir, err)
	}
	l.segments = append(l.segments, s)
	return nil
}

// load scans one segment and acts on the verdict. Only the last one can have a torn tail.
func (l *Log) load(base int64, last bool) error {
	s, err := l.openSegment(base, false)
	if err != nil {
		return fmt.Errorf("segment: opening: %w", err)
	}
	l.segments = append(l.segments, s)
	if n := len(l.segments); n > 1 && l.segments[n-2].next > base {
		return damaged(s.path, 0, fmt.Sprintf("it begins at offset %d, the segment before it ends at %d", base, l.segments[n-2].next))
	}
	size, err := s.file.Size()
	if err != nil {
		return fmt.Errorf("segment: %s: %w", s.path, err)
	}
	v, err := scanFile(s.file, size, base, last, &s.index)
	if err != nil {
		return fmt.Errorf("segment: reading %s: %w", s.path, err)
	}
	return l.act(s, v, size, last)
}

// act does what the verdict of a scan asks for.
func (l *Log) act(s *Segment, v verdict, size int64, last bool) error {
	s.size, s.next = v.validBytes, v.nextOffset
	s.capacity = max(s.capacity, s.size)
	switch {
	case v.damage == intact:
		return nil
	case v.damage == tornTail && last:
		l.options.Logger.Warn("a torn tail was cut", "case", v.damage.String(), "file", s.path, "position", v.validBytes,
			"bytes_cut", size-v.validBytes, "next_offset", v.nextOffset, "reason", v.reason)
		if err := s.file.Truncate(v.validBytes); err != nil {
			return fmt.Errorf("segment: cutting the torn tail of %s: %w", s.path, err)
		}
		if err := s.file.Sync(); err != nil {
			return fmt.Errorf("segment: cutting the torn tail of %s: %w", s.path, err)
		}
		return nil
	}
	return damaged(s.path, v.validBytes, v.reason)
}

// DamagedError says that a log has damage that cannot be a torn tail. Nothing was changed.
type DamagedError struct {
	File string
	// Position is where the first byte is that is not part of a valid batch.
	Position int64
	Reason   error
}

func damaged(file string, position int64, reason any) error {
	err, ok := reason.(error)
	if !ok {
		err = fmt.Errorf("%v", reason)
	}
	return &DamagedError{file, position, err}
}

// Error names the file, the position and the remedy.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("segment: %s is damaged at %d: %v; valid data follows, so nothing was cut: restore the file from a "+
		"copy, or move the partition's directory away to go on without it", e.File, e.Position, e.Reason)
}

// Unwrap is the reason.
func (e *DamagedError) Unwrap() error { return e.Reason }
