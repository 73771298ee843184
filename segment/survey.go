package segment

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"oneplusn/segment/mark"
	"oneplusn/segment/records"
)

// survey is what the names in a log's directory tell a start or a check.
type survey struct {
	found OpenOptions
	fs    FS
	dir   string
	bases []int64 // of the segments, ascending
	// tail is the index in bases of the first segment whose data only a clean stop proves to be durable.
	tail int
	// synced: every acknowledgement waited for its sync.
	synced bool
	// fromDisk: a sync failed before, so the page cache is not trusted.
	fromDisk bool
}

func newSurvey(fsys FS, dir string, names []string, found OpenOptions) *survey {
	v := &survey{found: found, fs: fsys, dir: dir, bases: offsetsOf(names, logSuffix),
		synced: slices.Contains(names, syncedAcksFile), fromDisk: slices.Contains(names, failedSyncFile)}
	// A segment's .index is written after its data was synced, and segments are finished in their order.
	trusted := int64(-1)
	if indexes := offsetsOf(names, indexSuffix); len(indexes) > 0 {
		trusted = indexes[len(indexes)-1]
	}
	v.bases = withLost(v.bases, names, found.LogStartOffset)
	v.tail = max(len(v.bases)-1, 0)
	for v.tail > 0 && v.bases[v.tail-1] > trusted && !found.Clean {
		v.tail--
	}
	return v
}

// withLost adds segments between others of which only an index is left: without them readers would silently skip records. A segment
// that is being removed keeps its renamed .log until its index is gone.
func withLost(bases []int64, names []string, logStart int64) []int64 {
	if len(bases) == 0 {
		return bases
	}
	first, last := max(bases[0], logStart), bases[len(bases)-1]
	for _, base := range offsetsOf(names, indexSuffix) {
		at, there := slices.BinarySearch(bases, base)
		if !there && base > first && base < last && !slices.Contains(names, filepath.Base(segmentPath("", base))+removedSuffix) {
			bases = slices.Insert(bases, at, base)
		}
	}
	return bases
}

// lost is the error of a missing segment.
func lost(path string, reason error) error {
	return &DamagedError{Case: "lost-segment", File: path, Reason: reason,
		Remedy: "restore it from a copy, or give up its records by removing the index files of that name"}
}

// finding describes a segment before reading it.
func (v *survey) finding(i int) finding {
	f := finding{place: closed, clean: v.found.Clean, synced: v.synced, index: indexMissing}
	switch {
	case i == len(v.bases)-1:
		f.place = last
	case i >= v.tail:
		f.place = unfinished
	}
	return f
}

// conclude completes a finding by the scan of the segment and by what lies behind it: a segment that ends before the next one
// begins is not whole, even if its batches are. A cut in an unfinished segment also loses the valid batches of all later ones.
func (v *survey) conclude(f *finding, i int, found *verdict) error {
	if f.place != last && found.damage == intact {
		v.noteGap(i, found)
	}
	if f.place == unfinished && found.damage == tornTail {
		if err := v.lookBehind(i, found); err != nil {
			return err
		}
	}
	f.damage = found.damage
	f.durable = found.nextOffset < v.found.RecoveryPoint
	return nil
}

// noteGap takes the end of a segment for missing if the next one begins behind it. A log that Kafka wrote may be compacted instead, and
// one that ended below its start was begun again there.
func (v *survey) noteGap(i int, found *verdict) {
	next := v.bases[i+1]
	if found.nextOffset >= next || next <= v.found.LogStartOffset || v.found.RecoveryPoint == AllDurable && !v.synced {
		return
	}
	mark.Hit("a segment ended before the next one began")
	found.damage = tornTail
	found.reason = fmt.Errorf("%w: it ends at offset %d, the next segment begins at %d", records.ErrShort, found.nextOffset, next)
}

func (v *survey) lookBehind(i int, found *verdict) error {
	for _, base := range v.bases[i+1:] {
		switch d, err := v.holdsBatches(base); {
		case err != nil:
			return err
		case d != tornTail:
			mark.Hit("batches lay behind a torn segment that was not finished")
			found.damage = d
			return nil
		}
	}
	return nil
}

// holdsBatches is interior if a segment has a valid batch anywhere, tornTail if it has none, or unreadable.
func (v *survey) holdsBatches(base int64) (damage, error) {
	file, size, err := v.open(base)
	if err != nil {
		return unreadable, fmt.Errorf("segment: %s: %w", segmentPath(v.dir, base), err)
	}
	defer func() { _ = file.Close() }()
	sc := newScanner(file, size, crcWindow)
	sc.checkCRC = true
	_, err = sc.batch(0, base, base)
	switch {
	case err == nil:
		return interior, nil
	case isReadError(err):
		return unreadable, nil
	}
	return sc.classify(0, base, base), nil
}

// open opens a segment for a scan.
func (v *survey) open(base int64) (file File, size int64, err error) {
	if file, err = v.fs.Open(segmentPath(v.dir, base), ReadOnly); err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	if v.fromDisk {
		file.DropCache()
	}
	return file, info.Size(), nil
}

// missing reports whether the log ends below its recovery point.
func (v *survey) missing(end int64) bool {
	return v.found.RecoveryPoint != AllDurable && end < v.found.RecoveryPoint
}

// AllDurable is the [OpenOptions.RecoveryPoint] of a log whose recovery point is unknown: everything may be durable, so recovery
// cuts no damage that has valid batches behind it.
const AllDurable = math.MaxInt64

// isTorn reports whether a case is one of a torn tail, with no valid batch behind it.
func isTorn(label string) bool {
	return strings.HasPrefix(label, "torn-") && label != "torn-closed-segment"
}
