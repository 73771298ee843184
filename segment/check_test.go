package segment

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// contents is every file, for comparing before and after.
func contents(fs *simFS) map[string]string {
	all := map[string]string{}
	for _, path := range fs.disk.Names() {
		all[path] = string(fs.content(path))
	}
	return all
}

// spoilers are ways to damage a directory of many segments, the case that Check has to find, and its state.
var spoilers = []struct {
	name  string
	clean bool
	spoil func(fs *simFS, first, last string)
	label string
	state State
}{
	{"nothing", true, func(*simFS, string, string) {}, "", StateOK},
	{"crash", false, func(fs *simFS, _, last string) { fs.disk.Remove(beside(last, indexSuffix)) }, "", StateOK},
	{"index gone", true, func(fs *simFS, first, _ string) { fs.disk.Remove(beside(first, indexSuffix)) }, "intact-index-missing", StateRebuild},
	{"index entry wrong in the middle", true, func(fs *simFS, first, _ string) { fs.content(beside(first, indexSuffix))[15]-- },
		"intact-index-wrong", StateRebuild},
	{"time index entry wrong in the middle", true, func(fs *simFS, first, _ string) { fs.content(beside(first, timeIndexSuffix))[19]++ },
		"intact-index-wrong", StateRebuild},
	{"tail torn by a crash", false, func(fs *simFS, _, last string) { shorten(fs, last, 3) }, "torn-tail", StateTorn},
	{"tail torn after a clean stop", true, func(fs *simFS, _, last string) { shorten(fs, last, 3) }, "torn-after-clean-stop", StateDamaged},
	{"closed segment torn", false, func(fs *simFS, first, _ string) { shorten(fs, first, 3) }, "torn-closed-segment", StateDamaged},
	{"byte wrong behind a sane index", true, func(fs *simFS, first, _ string) { fs.content(first)[80] ^= 1 }, "interior-damage", StateDamaged},
}

func shorten(fs *simFS, path string, n int) {
	b := fs.content(path)
	fs.disk.Put(path, bytes.Clone(b[:len(b)-n]))
}

func TestCheckFindsWhatIsWrongAndChangesNothing(t *testing.T) {
	for _, c := range spoilers {
		t.Run(c.name, func(t *testing.T) {
			fs, o, _ := manySegments(t)
			first, last := segmentPath(recoverDir, 0), lastSegment(fs)
			c.spoil(fs, first, last)
			before := contents(fs)
			read := int64(0)
			r, err := Check(recoverDir, o, OpenOptions{Clean: c.clean}, func(n int64) { read += n })
			if err != nil || r.State != c.state {
				t.Fatalf("check says %s, %v, want %s: %+v", r.State, err, c.state, r)
			}
			var labels []string
			for _, s := range r.Segments {
				if s.State != StateOK {
					labels = append(labels, s.Case)
				}
			}
			if strings.Join(labels, " ") != c.label {
				t.Errorf("the cases are %q, want %q", labels, c.label)
			}
			if fmt.Sprint(before) != fmt.Sprint(contents(fs)) || fs.open() != 0 {
				t.Error("something was changed, or is left open")
			}
			if read < r.Bytes {
				t.Errorf("%d bytes were read of %d", read, r.Bytes)
			}
		})
	}
}

func lastSegment(fs *simFS) (last string) {
	for _, path := range fs.disk.Names() {
		if strings.HasSuffix(path, logSuffix) {
			last = max(last, path)
		}
	}
	return last
}

func TestRepairDoesWhatItIsToldAndKeepsWhatItCuts(t *testing.T) {
	for _, c := range spoilers {
		for _, what := range []Repairs{{CutTail: true}, {CutAtDamage: true}, {RebuildIndexes: true}} {
			t.Run(fmt.Sprintf("%s %+v", c.name, what), func(t *testing.T) {
				fs, o, _ := manySegments(t)
				c.spoil(fs, segmentPath(recoverDir, 0), lastSegment(fs))
				before := contents(fs)
				done, err := Repair(recoverDir, o, OpenOptions{Clean: c.clean}, what, nil)
				if err != nil {
					t.Fatal(err)
				}
				torn := strings.HasPrefix(c.label, "torn-tail") || strings.HasPrefix(c.label, "torn-after")
				mends := what.CutTail && torn || what.CutAtDamage && (torn || c.state == StateDamaged)
				if (len(done) > 0) != (mends || what.RebuildIndexes) {
					t.Errorf("done: %v", done)
				}
				if len(done) == 0 && fmt.Sprint(before) != fmt.Sprint(contents(fs)) {
					t.Error("something was changed")
				}
				checkNothingLost(t, fs, before)
				l, err := Open(recoverDir, o, OpenOptions{Clean: c.clean})
				if (err == nil) != (mends || c.state != StateDamaged || hidden(c.name, what)) {
					t.Errorf("open says %v", err)
				}
				if err == nil {
					mustClose(t, l)
				}
			})
		}
	}
}

// hidden: a start does not read the data behind sane indexes. Only a check does.
func hidden(name string, what Repairs) bool {
	return name == "byte wrong behind a sane index" && !what.CutAtDamage
}

// checkNothingLost finds every byte of the segments again, in place or in a copy.
func checkNothingLost(t *testing.T, fs *simFS, before map[string]string) {
	t.Helper()
	for path, content := range before {
		if !strings.HasSuffix(path, logSuffix) {
			continue
		}
		got := string(fs.content(path)) + string(fs.content(path+cutSuffix))
		got += string(fs.content(fmt.Sprintf("%s.%d%s", path, len(got), cutSuffix)))
		if got != content {
			t.Errorf("%s: %d bytes are left of %d", path, len(got), len(content))
		}
	}
}

func TestSnapshotOfWhatWasCutIsNotBelieved(t *testing.T) {
	fs := newSimFS(t, 61)
	o := Options{FS: fs}
	l := openLog(t, recoverDir, o, OpenOptions{})
	for i := range 5 {
		mustAppend(t, l, testBatch{producer: 4, sequence: int32(i)})
	}
	mustClose(t, l)
	path := segmentPath(recoverDir, 0)
	fs.content(path)[len(fs.content(path))*3/5+30] ^= 1
	if _, err := Repair(recoverDir, o, OpenOptions{Clean: true}, Repairs{CutAtDamage: true}, nil); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, recoverDir, o, OpenOptions{})
	for i := l.LogEndOffset(); i < 9; i++ {
		mustAppend(t, l, testBatch{producer: 4, sequence: int32(i)})
	}
	l = openLog(t, recoverDir, Options{FS: fs.restart()}, OpenOptions{})
	if a := mustAppend(t, l, testBatch{producer: 4, sequence: 8}); !a.Duplicate || a.BaseOffset != 8 {
		t.Errorf("the last batch again gives %+v", a)
	}
}

func TestTwoProcessesCannotHaveOneDataDirectory(t *testing.T) {
	dir := t.TempDir()
	unlock, err := LockDataDir(OS, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockDataDir(OS, dir); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("the second lock says %v", err)
	}
	unlock()
	unlock, err = LockDataDir(OS, dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
