package segment

import (
	"errors"
	"fmt"
	"io"

	"oneplusn/segment/records"
)

// Repairs are the actions that [Repair] may take.
type Repairs struct {
	// CutTail cuts the last segment behind its last valid batch, if no valid batch lies behind the damage.
	CutTail bool
	// CutAtDamage ends the log before the first damage, whatever lies behind it: it takes out the rest of that segment and
	// all segments behind it.
	CutAtDamage bool
	// RebuildIndexes writes the index files of every segment again, and .txnindex files where transactions were aborted.
	RebuildIndexes bool
}

// Repaired is one action of [Repair].
type Repaired struct {
	File string
	What string // was done
}

// cutSuffix marks copies of what a repair cut off, and segments that it took out.
const cutSuffix = ".cut"

// Repair repairs a log that nobody has open, as far as it may. It copies what it cuts to a file beside the segment that ends with
// .cut, and renames segments that it takes out likewise. It returns its actions, after an error too. progress, if not nil, gets
// the number of bytes of each read.
func Repair(dir string, o Options, found OpenOptions, what Repairs, progress func(bytes int64)) ([]Repaired, error) {
	o = o.withDefaults()
	report, err := Check(dir, o, found, progress)
	if err != nil {
		return nil, err
	}
	r := repairer{options: o, dir: dir, txns: newTxnScan()}
	for i, s := range report.Segments {
		last := i == len(report.Segments)-1
		torn := isTorn(s.Case)
		switch {
		case s.Case == "unreadable":
			err = fmt.Errorf("segment: %s cannot be read: %s: copy what can be read to another disk first", s.File, s.Reason)
		case what.CutTail && last && torn:
			err = r.cut(s)
		case what.CutAtDamage && (s.State == StateDamaged || s.State == StateTorn):
			return r.done, errors.Join(r.cutFrom(report.Segments[i:]), r.sync())
		case what.RebuildIndexes && (s.State == StateOK || s.State == StateRebuild):
			err = r.rebuild(s)
		}
		if err != nil {
			break
		}
	}
	return r.done, errors.Join(err, r.sync())
}

type repairer struct {
	options Options
	dir     string
	done    []Repaired
	txns    *txnScan
}

func (r *repairer) did(file, format string, args ...any) {
	r.done = append(r.done, Repaired{file, fmt.Sprintf(format, args...)})
}

func (r *repairer) sync() error {
	if len(r.done) == 0 {
		return nil
	}
	return r.options.FS.SyncDir(r.dir)
}

// cutFrom ends the log in the first of these segments.
func (r *repairer) cutFrom(segments []SegmentReport) error {
	for i := len(segments) - 1; i > 0; i-- {
		if err := r.takeOut(segments[i].File); err != nil {
			return err
		}
	}
	switch {
	case segments[0].Case == "overlap":
		return r.takeOut(segments[0].File)
	case segments[0].ValidBytes == segments[0].Bytes: // whole, but it ends before the next one began
		return r.removeIndexes(segments[0].File)
	}
	return r.cut(segments[0])
}

// takeOut renames a segment and removes its index files.
func (r *repairer) takeOut(path string) error {
	if err := r.options.FS.Rename(path, path+cutSuffix); err != nil {
		return fmt.Errorf("segment: taking out %s: %w", path, err)
	}
	r.did(path, "taken out, it is %s", path+cutSuffix)
	return r.removeIndexes(path)
}

func (r *repairer) removeIndexes(path string) error {
	for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
		if err := r.options.FS.RemoveAll(beside(path, suffix)); err != nil {
			return fmt.Errorf("segment: removing the index of what was cut: %w", err)
		}
	}
	return nil
}

// cut copies what lies behind the valid batches and cuts it off. The indexes describe the longer file, so they go; opening the log
// rebuilds them.
func (r *repairer) cut(s SegmentReport) error {
	file, err := r.options.FS.Open(s.File, ReadWrite)
	if err != nil {
		return fmt.Errorf("segment: cutting %s: %w", s.File, err)
	}
	defer func() { _ = file.Close() }()
	aside := fmt.Sprintf("%s.%d%s", s.File, s.ValidBytes, cutSuffix)
	err = copyRange(r.options.FS, aside, file, s.ValidBytes, s.Bytes)
	if err == nil {
		err = r.options.FS.SyncDir(r.dir)
	}
	if err == nil {
		err = file.Truncate(s.ValidBytes)
	}
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		return fmt.Errorf("segment: cutting %s: %w", s.File, err)
	}
	r.did(s.File, "cut at %d, the %d bytes behind it are in %s", s.ValidBytes, s.Bytes-s.ValidBytes, aside)
	return r.removeIndexes(s.File)
}

// copyRange durably writes a piece of a file to a new file.
func copyRange(fsys FS, path string, from io.ReaderAt, start, end int64) error {
	return fillFile(fsys, path, func(to File) error {
		_, err := io.Copy(io.NewOffsetWriter(writerAt{to}, 0), io.NewSectionReader(from, start, end-start))
		return err
	})
}

// writerAt is a file as an [io.WriterAt].
type writerAt struct{ File }

func (w writerAt) WriteAt(b []byte, offset int64) (int, error) {
	return w.File.WriteAt([][]byte{b}, offset)
}

func (r *repairer) rebuild(s SegmentReport) error {
	file, err := r.options.FS.Open(s.File, ReadOnly)
	if err != nil {
		return fmt.Errorf("segment: rebuilding the indexes of %s: %w", s.File, err)
	}
	defer func() { _ = file.Close() }()
	if err := file.Sync(); err != nil { // an index proves that its data is durable
		return fmt.Errorf("segment: syncing %s: %w", s.File, err)
	}
	x := newIndex(r.options.IndexIntervalBytes)
	err = walkFile(file, s.Bytes, s.BaseOffset, 0, func(h records.Batch, at int64) bool {
		x.add(relative(h.BaseOffset, s.BaseOffset), relative(h.LastOffset(), s.BaseOffset), at, h.MaxTimestamp)
		r.txns.batch(file, h, at)
		return true
	})
	aborted := r.txns.take()
	if err == nil && len(aborted) > 0 {
		err = putFile(r.options.FS, beside(s.File, txnIndexSuffix), encodeEntries(aborted))
	}
	if err == nil {
		x.seal()
		err = writeIndexFiles(r.options.FS, s.File, &x)
	}
	if err != nil {
		return fmt.Errorf("segment: rebuilding the indexes of %s: %w", s.File, err)
	}
	r.did(s.File, "indexes rebuilt, %d entries, %d times, %d aborted transactions", len(x.entries), len(x.times), len(aborted))
	return nil
}
