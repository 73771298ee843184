package segment

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"oneplusn/segment/records"
)

// survey is what a start, or a check, knows of a log before it looks into the segments.
type survey struct {
	found OpenOptions
	fs    FS
	dir   string
	bases []int64 // of the segments, ascending
	// tail is the first of bases of which nothing but a clean stop says that its data was synced.
	tail int
	// synced says that nothing was acknowledged before it was synced.
	synced bool
	// fromDisk says that a sync failed before, so only what the disk gives is to be believed.
	fromDisk bool
}

// newSurvey reads the names in a directory.
func newSurvey(fsys FS, dir string, names []string, found OpenOptions) *survey {
	v := &survey{found: found, fs: fsys, dir: dir, bases: offsetsOf(names, logSuffix),
		synced: slices.Contains(names, syncedAcksFile), fromDisk: hasFailedSync(names)}
	// A segment's .index is written after its data was synced, and segments are finished in their order.
	vouched := int64(-1)
	if indexes := offsetsOf(names, indexSuffix); len(indexes) > 0 {
		vouched = indexes[len(indexes)-1]
	}
	v.bases = withLost(v.bases, names, found.LogStartOffset)
	v.tail = max(len(v.bases)-1, 0)
	for v.tail > 0 && v.bases[v.tail-1] > vouched && !found.Clean {
		v.tail--
	}
	return v
}

// withLost adds the segments between others of which only an index is left: the log is not whole, and readers would skip
// their records without an error. One that is being removed has its file's name with a suffix until its index has gone.
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

// lost is the error of a segment that is not there.
func lost(path string, reason error) error {
	return &DamagedError{Case: "lost-segment", File: path, Reason: reason,
		Remedy: "put it back from a copy, or give its records up by removing the index files of that name"}
}

// finding is what is known of a segment before it was looked at.
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

// conclude completes a finding by what a scan says of the segment, and by what lies behind it: a segment that ends before
// the next begins is not whole, though its batches are. Whether there is something to lose behind an unfinished one is for
// all the segments behind it to say.
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

// noteGap says that the end of a segment is missing if the next begins behind it. A log of elsewhere may have been
// compacted.
func (v *survey) noteGap(i int, found *verdict) {
	next := v.bases[i+1]
	if found.nextOffset >= next || v.found.RecoveryPoint == AllDurable && !v.synced {
		return
	}
	found.damage = tornTail
	found.reason = fmt.Errorf("%w: it ends at offset %d, the next segment begins at %d", records.ErrShort, found.nextOffset, next)
}

func (v *survey) lookBehind(i int, found *verdict) error {
	for _, base := range v.bases[i+1:] {
		switch d, err := v.holdsBatches(base); {
		case err != nil:
			return err
		case d != tornTail:
			found.damage = d
			return nil
		}
	}
	return nil
}

// holdsBatches is interior if there is a valid batch anywhere in a segment, tornTail if not, or unreadable.
func (v *survey) holdsBatches(base int64) (damage, error) {
	file, err := v.fs.Open(segmentPath(v.dir, base), ReadOnly)
	if err != nil {
		return unreadable, fmt.Errorf("segment: opening: %w", err)
	}
	defer func() { _ = file.Close() }()
	size, err := file.Size()
	if err != nil {
		return unreadable, fmt.Errorf("segment: %s: %w", segmentPath(v.dir, base), err)
	}
	if v.fromDisk {
		file.DropCache()
	}
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

// missing says that the log ends below what was known to be durable.
func (v *survey) missing(end int64) bool {
	return v.found.RecoveryPoint != AllDurable && end < v.found.RecoveryPoint
}

// AllDurable is the [OpenOptions.RecoveryPoint] of a log of which it is not known what was synced: everything may have
// been, so no damage is cut that has valid batches behind it.
const AllDurable = math.MaxInt64

// isTorn says that a case is one of a torn tail, with no valid batch behind it.
func isTorn(label string) bool {
	return strings.HasPrefix(label, "torn-") && label != "torn-closed-segment"
}
