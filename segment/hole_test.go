package segment

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"oneplusn/segment/records"
)

// crashedLog is a directory after a crash of a log that was never synced, in as many segments as asked for; none is
// finished. It says where each batch begins in the last one.
func crashedLog(t *testing.T, o Options, batches int) (*simFS, []records.Batch) {
	t.Helper()
	fs := newSimFS(t, 31)
	o.FS = fs
	l := openLog(t, recoverDir, o, OpenOptions{})
	for i := range batches {
		mustAppend(t, l, testBatch{records: 1 + i%2, timestamp: 1000, value: 30 + i%7})
	}
	all := readAll(t, l, 0, 1<<20)
	return fs.restart(), all
}

// zero makes a hole in a file, as a page is that the kernel had not written.
func zero(fs *simFS, path string, from, to int) {
	b := fs.content(path)
	clear(b[min(from, len(b)):min(to, len(b))])
}

// wholeBefore is how many of the batches of a file lie before a position, and the offset behind them.
func wholeBefore(all []records.Batch, position int) (n int, next int64) {
	for at := 0; n < len(all) && at+all[n].Size() <= position; n++ {
		at += all[n].Size()
		next = all[n].NextOffset()
	}
	return n, next
}

// firstChange is the first byte that differs: much of a batch is zeros anyway.
func firstChange(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return len(a)
}

func TestHolesInWhatWasNeverPromisedAreCut(t *testing.T) {
	fs, all := crashedLog(t, Options{}, 30)
	path := segmentPath(recoverDir, 0)
	size := len(fs.content(path))
	for from := 0; from < size; from += 13 {
		for _, hole := range []int{simPage, 3 * simPage, size} { // a part of a batch, several with their headers, all that follows
			after := fs.restart()
			zero(after, path, from, from+hole)
			if from+2*hole < size {
				zero(after, path, from+2*hole, from+2*hole+7) // and another
			}
			n, next := wholeBefore(all, firstChange(fs.content(path), after.content(path)))
			o := Options{FS: after}
			report, err := Check(recoverDir, o, OpenOptions{RecoveryPoint: next}, nil)
			if err != nil || report.State == StateDamaged || report.LogEndOffset != next {
				t.Fatalf("hole of %d at %d: check says %s up to %d, %v", hole, from, report.State, report.LogEndOffset, err)
			}
			l, err := Open(recoverDir, o, OpenOptions{RecoveryPoint: next})
			if err != nil {
				t.Fatalf("hole of %d at %d: %v", hole, from, err)
			}
			if got := readAll(t, l, 0, 1<<20); fmt.Sprint(got) != fmt.Sprint(all[:n]) {
				t.Fatalf("hole of %d at %d: %d batches, want %d", hole, from, len(got), n)
			}
			mustAppend(t, l, testBatch{})
			mustClose(t, l)
		}
	}
}

func TestHoleBelowWhatWasPromisedIsRefusedAndNothingIsTouched(t *testing.T) {
	fs, all := crashedLog(t, Options{}, 30)
	path := segmentPath(recoverDir, 0)
	at := 0
	for _, h := range all[:10] {
		at += h.Size()
	}
	for _, c := range []struct {
		name   string
		found  OpenOptions
		synced bool
		label  string
	}{
		{"below the recovery point", OpenOptions{RecoveryPoint: all[10].BaseOffset + 1}, false, "durable-damage"},
		{"nothing is known", OpenOptions{RecoveryPoint: AllDurable}, false, "durable-damage"},
		{"every acknowledgement promised it", OpenOptions{}, true, "acknowledged-behind-damage"},
		{"after a clean stop", OpenOptions{Clean: true}, false, "damage-after-clean-stop"},
	} {
		after := fs.restart()
		zero(after, path, at+20, at+20+simPage)
		if c.synced {
			after.disk.Put(filepath.Join(recoverDir, syncedAcksFile), nil)
		}
		before := contents(after)
		_, err := Open(recoverDir, Options{FS: after, ManualCommit: c.synced}, c.found)
		var damage *DamagedError
		if !errors.As(err, &damage) || damage.Case != c.label || damage.Offset != all[10].BaseOffset {
			t.Errorf("%s: %v", c.name, err)
		}
		if fmt.Sprint(before) != fmt.Sprint(contents(after)) {
			t.Errorf("%s: something was changed", c.name)
		}
		r, err := Check(recoverDir, Options{FS: after}, c.found, nil)
		if err != nil || r.State != StateDamaged || r.Segments[0].Case != c.label {
			t.Errorf("%s: check says %+v, %v", c.name, r, err)
		}
	}
}

// The segment before the last was closed a moment ago, and the crash came before it was finished.
func TestUnfinishedSegmentsAreCutLikeTheLast(t *testing.T) {
	o := Options{SegmentBytes: 600}
	fs, all := crashedLog(t, o, 30)
	bases := offsetsOf(fileNames(fs), logSuffix)
	if len(bases) < 4 {
		t.Fatalf("only %d segments", len(bases))
	}
	second := segmentPath(recoverDir, bases[1])
	for name, spoil := range map[string]func(fs *simFS){
		"a hole":        func(fs *simFS) { zero(fs, second, 100, 150) },
		"a torn end":    func(fs *simFS) { shorten(fs, second, 10) },
		"a missing end": func(fs *simFS) { fs.disk.Put(second, firstBatch(fs.content(second))) },
		"nothing there": func(fs *simFS) { fs.disk.Put(second, nil) },
	} {
		for _, synced := range []bool{false, true} {
			after := fs.restart()
			spoil(after)
			if synced {
				after.disk.Put(filepath.Join(recoverDir, syncedAcksFile), nil)
			}
			o.FS, o.ManualCommit = after, synced
			report, err := Check(recoverDir, o, OpenOptions{}, nil)
			if err != nil || (report.State == StateDamaged) != synced {
				t.Errorf("%s, synced %v: check says %+v, %v", name, synced, report, err)
			}
			l, err := Open(recoverDir, o, OpenOptions{})
			if (err == nil) == synced {
				t.Fatalf("%s, synced %v: open says %v", name, synced, err)
			}
			if synced {
				continue
			}
			got := readAll(t, l, 0, 1<<20)
			if fmt.Sprint(got) != fmt.Sprint(all[:len(got)]) || l.LogEndOffset() != report.LogEndOffset || l.LogEndOffset() < bases[1] {
				t.Errorf("%s: %d batches up to %d, check says %d", name, len(got), l.LogEndOffset(), report.LogEndOffset)
			}
			if left := offsetsOf(fileNames(after), logSuffix); !slices.Equal(left, bases[:2]) {
				t.Errorf("%s: the segments %d are left", name, left)
			}
			mustAppend(t, l, testBatch{})
			mustClose(t, l)
		}
	}
}

// With acknowledgements that wait for syncs too: what lies behind the damage is nothing at all.
func TestUnfinishedSegmentWithNothingBehindItIsATornTail(t *testing.T) {
	o := Options{SegmentBytes: 600}
	fs, _ := crashedLog(t, o, 30)
	bases := offsetsOf(fileNames(fs), logSuffix)
	for _, base := range bases[2:] {
		zero(fs, segmentPath(recoverDir, base), 0, 1<<20)
	}
	shorten(fs, segmentPath(recoverDir, bases[1]), 10)
	fs.disk.Put(filepath.Join(recoverDir, syncedAcksFile), nil)
	o.FS, o.ManualCommit = fs, true
	l, err := Open(recoverDir, o, OpenOptions{})
	if err != nil || l.LogEndOffset() <= bases[1] || l.LogEndOffset() >= bases[2] {
		t.Fatalf("open: %v", err)
	}
	mustClose(t, l)
}

func TestFinishedSegmentIsNeverCut(t *testing.T) {
	fs, o, _ := manySegments(t)
	bases := offsetsOf(fileNames(fs), logSuffix)
	first := segmentPath(recoverDir, bases[0])
	fs.disk.Remove(beside(first, indexSuffix)) // by hand: those behind it are there
	zero(fs, first, 100, 150)
	_, err := Open(recoverDir, o, OpenOptions{})
	var damage *DamagedError
	if !errors.As(err, &damage) || damage.Case != "interior-damage" {
		t.Errorf("open: %v", err)
	}
}

func fileNames(fs *simFS) (names []string) {
	for _, path := range fs.disk.Names() {
		names = append(names, filepath.Base(path))
	}
	return names
}

func firstBatch(b []byte) []byte {
	h, err := records.CheckBatch(b)
	if err != nil {
		panic(err)
	}
	return bytes.Clone(b[:h.Size()])
}
