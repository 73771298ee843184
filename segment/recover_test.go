package segment

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"oneplusn/segment/records"
)

// eachFinding calls f with every finding there can be.
func eachFinding(f func(finding)) {
	bools := []bool{false, true}
	for _, overlaps := range bools {
		for p := closed; p < places; p++ {
			for _, clean := range bools {
				for _, durable := range bools {
					for _, synced := range bools {
						for index := indexSane; index <= indexWrong; index++ {
							for d := notScanned; d < damages; d++ {
								f(finding{overlaps, p, clean, durable, synced, index, d})
							}
						}
					}
				}
			}
		}
	}
}

func TestExactlyOneRecoveryCaseHoldsForEveryFinding(t *testing.T) {
	used := map[string]bool{}
	eachFinding(func(f finding) {
		var labels []string
		for i := range recoveryCases {
			if recoveryCases[i].holds(f) {
				labels = append(labels, recoveryCases[i].label)
			}
		}
		if len(labels) != 1 {
			t.Errorf("%+v: the cases %q hold", f, labels)
			return
		}
		used[labels[0]] = true
		checkAction(t, f, decide(f))
	})
	for _, c := range recoveryCases {
		if !used[c.label] {
			t.Errorf("no finding has the case %s", c.label)
		}
	}
}

// checkAction asserts the rules that no row of the table may break.
func checkAction(t *testing.T, f finding, c *recoveryCase) {
	t.Helper()
	switch {
	case c.action == cut && (f.place == closed || f.clean):
		t.Errorf("%s cuts for %+v", c.label, f)
	case c.action == cut && f.damage != tornTail && (f.damage != interior || f.durable || f.synced):
		t.Errorf("%s cuts what may have been promised: %+v", c.label, f)
	case c.action == refuse && f.damage == interior && f.place != closed && !f.clean && !f.durable && !f.synced && !f.overlaps:
		t.Errorf("%s refuses what was never promised: %+v", c.label, f)
	case c.action == serve && f.damage != intact && f.damage != notScanned:
		t.Errorf("%s serves damage %+v", c.label, f)
	case c.action == serve && f.damage == notScanned && (f.place == last && !f.clean || f.place == unfinished):
		t.Errorf("%s trusts a segment that a crash may have torn: %+v", c.label, f)
	case c.action == scan && f.damage != notScanned:
		t.Errorf("%s scans twice: %+v", c.label, f)
	}
}

const recoverDir = "/data/t-0"

// closedSegment is a directory with one segment of three batches, as a clean stop leaves it.
func closedSegment(t *testing.T) (*simFS, []records.Batch) {
	t.Helper()
	fs := newSimFS(t, 21)
	l := openLog(t, recoverDir, Options{FS: fs}, OpenOptions{})
	for i := range 3 {
		mustAppend(t, l, testBatch{records: i + 1, timestamp: 1000 + int64(i), value: 9})
	}
	all := readAll(t, l, 0, 1<<20)
	mustClose(t, l)
	return fs, all
}

func TestEveryByteCutOfTheLastSegmentKeepsTheWholeBatches(t *testing.T) {
	fs, all := closedSegment(t)
	path := segmentPath(recoverDir, 0)
	whole := fs.content(path)
	for n := 0; n <= len(whole); n++ {
		after := fs.restart()
		after.disk.Put(path, bytes.Clone(whole[:n]))
		l, err := Open(recoverDir, Options{FS: after}, OpenOptions{})
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		var want []records.Batch
		size := 0
		for _, h := range all {
			if size+h.Size() > n {
				break
			}
			size += h.Size()
			want = append(want, h)
		}
		if got := readAll(t, l, 0, 1<<20); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("cut at %d: batches %v, want %v", n, got, want)
		}
		if len(after.content(path)) != size || l.SizeBytes() != int64(size) {
			t.Errorf("cut at %d: the file has %d bytes, want %d", n, len(after.content(path)), size)
		}
		mustAppend(t, l, testBatch{timestamp: 5})
		if got := readAll(t, l, 0, 1<<20); len(got) != len(want)+1 {
			t.Errorf("cut at %d: after an append there are %d batches, want %d", n, len(got), len(want)+1)
		}
		mustClose(t, l)
	}
}

func TestEveryByteCutAfterACleanStopIsRefused(t *testing.T) {
	fs, all := closedSegment(t)
	path := segmentPath(recoverDir, 0)
	whole := fs.content(path)
	ends := map[int]bool{0: true, len(whole): true}
	at := 0
	for _, h := range all {
		at += h.Size()
		ends[at] = true
	}
	for n := range whole {
		after := fs.restart()
		after.disk.Put(path, bytes.Clone(whole[:n]))
		l, err := Open(recoverDir, Options{FS: after}, OpenOptions{Clean: true})
		if ends[n] {
			// What is left looks like a whole segment. Only the time index tells, if it knows of what is missing.
			if err != nil {
				t.Errorf("cut at %d, between batches: %v", n, err)
			} else {
				_ = l.Close()
			}
			continue
		}
		var damage *DamagedError
		if !errors.As(err, &damage) || damage.Case != "torn-after-clean-stop" {
			t.Errorf("cut at %d: %v", n, err)
		}
		if len(after.content(path)) != n {
			t.Errorf("cut at %d: the file has %d bytes", n, len(after.content(path)))
		}
	}
}

// TestEverySingleBitFlipIsFoundOrHarmless: what no CRC covers are the epoch, which no reader trusts, and the offset.
func TestEverySingleBitFlipIsFoundOrHarmless(t *testing.T) {
	fs, all := closedSegment(t)
	path := segmentPath(recoverDir, 0)
	whole := fs.content(path)
	for i := range len(whole) * 8 {
		after := fs.restart()
		flipped := bytes.Clone(whole)
		flipped[i/8] ^= 1 << (i % 8)
		after.disk.Put(path, bytes.Clone(flipped))
		l, err := Open(recoverDir, Options{FS: after}, OpenOptions{RecoveryPoint: AllDurable})
		batch, field, start := locate(all, i/8)
		lastBatch := batch == len(all)-1
		var damage *DamagedError
		switch {
		case field >= 12 && field < 16: // the leader epoch
			if err != nil {
				t.Errorf("bit %d, in an epoch: %v", i, err)
			} else if got := readAll(t, l, 0, 1<<20); len(got) != len(all) {
				t.Errorf("bit %d, in an epoch: %d batches", i, len(got))
			}
		case lastBatch && err == nil:
			// A torn tail, or an offset that says that some are missing before it.
			got := readAll(t, l, 0, 1<<20)
			if len(got) != len(all)-1 && !(field < 8 && len(got) == len(all) && got[batch].BaseOffset > all[batch].BaseOffset) {
				t.Errorf("bit %d, in the last batch: %d batches", i, len(got))
			}
		case errors.As(err, &damage):
			if damage.Case != "durable-damage" || field >= 8 && damage.Position != int64(start) {
				t.Errorf("bit %d at byte %d: %v", i, i/8, err)
			}
			if !bytes.Equal(after.content(path), flipped) {
				t.Errorf("bit %d: the file was changed", i)
			}
		default:
			t.Errorf("bit %d, batch %d, byte %d of it: %v, and no damage was seen", i, batch, field, err)
		}
		if l != nil {
			_ = l.Close()
		}
	}
}

// locate says which batch a byte is of, which of its bytes it is, and where the batch begins.
func locate(all []records.Batch, at int) (batch, field, start int) {
	for i, h := range all {
		if at < start+h.Size() {
			return i, at - start, start
		}
		start += h.Size()
	}
	panic("segment: behind the last batch")
}

// manySegments is a directory of several segments, as a clean stop leaves it.
func manySegments(t *testing.T) (*simFS, Options, []records.Batch) {
	t.Helper()
	fs := newSimFS(t, 22)
	o := Options{FS: fs, SegmentBytes: 2000, IndexIntervalBytes: 200, MaxBatchBytes: 1000}
	l := openLog(t, recoverDir, o, OpenOptions{})
	for i := range 100 {
		mustAppend(t, l, testBatch{timestamp: 1000 + int64(i), value: 30})
		runWork(l)
	}
	all := readAll(t, l, 0, 1<<20)
	mustClose(t, l)
	return fs, o, all
}

func TestIndexesAreRebuiltWhenMissingShortOrWrong(t *testing.T) {
	for _, clean := range []bool{true, false} {
		for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
			for name, spoil := range map[string]func([]byte) []byte{
				"missing":      nil,
				"empty":        func(b []byte) []byte { return nil },
				"cut":          func(b []byte) []byte { return b[:len(b)-3] },
				"preallocated": func(b []byte) []byte { return append(b, make([]byte, 240)...) },
				"wrong":        func(b []byte) []byte { b[len(b)-1] ^= 4; return b },
				"foreign":      func(b []byte) []byte { return bytes.Repeat([]byte{0xff}, len(b)) },
			} {
				t.Run(fmt.Sprintf("%s%s clean=%v", name, suffix, clean), func(t *testing.T) {
					fs, o, all := manySegments(t)
					want := map[string]string{}
					for _, path := range fs.disk.Names() {
						if strings.HasSuffix(path, suffix) {
							want[path] = string(fs.content(path))
							if spoil == nil {
								fs.disk.Remove(path)
							} else {
								fs.disk.Put(path, spoil(bytes.Clone(fs.content(path))))
							}
						}
					}
					l := openLog(t, recoverDir, o, OpenOptions{Clean: clean})
					if got := readAll(t, l, 0, 500); len(got) != len(all) {
						t.Fatalf("%d batches of %d", len(got), len(all))
					}
					mustClose(t, l)
					for path, content := range want {
						// An index that was cut to nothing is true, if useless, only for a segment without an entry.
						if got := string(fs.content(path)); got != content && !(name == "empty" && suffix == timeIndexSuffix) {
							t.Errorf("%s has %x, want %x", filepath.Base(path), got, content)
						}
					}
				})
			}
		}
	}
}

func TestDamageInAClosedSegmentIsRefusedAndNothingIsTouched(t *testing.T) {
	for label, spoil := range map[string]func(fs *simFS, closed string){
		"torn-closed-segment": func(fs *simFS, closed string) {
			fs.disk.Remove(beside(closed, indexSuffix))
			n := len(fs.content(closed))
			fs.disk.Put(closed, fs.content(closed)[:n-5])
		},
		"torn-closed-segment between batches": func(fs *simFS, closed string) {
			data := fs.content(closed)
			var ends []int64
			scanFile(bytes.NewReader(data), int64(len(data)), 0, func(h records.Batch, at int64) { ends = append(ends, at+int64(h.Size())) })
			fs.disk.Put(closed, data[:ends[0]])
		},
		"torn-closed-segment emptied": func(fs *simFS, closed string) { fs.disk.Put(closed, nil) },
		"interior-damage": func(fs *simFS, closed string) {
			fs.disk.Remove(beside(closed, indexSuffix))
			fs.content(closed)[70] ^= 1
		},
		"lost-segment": func(fs *simFS, closed string) { fs.disk.Remove(secondSegment(fs)) },
		"overlap": func(fs *simFS, closed string) {
			fs.copy(closed, segmentPath(recoverDir, 1))
		},
	} {
		t.Run(label, func(t *testing.T) {
			fs, o, _ := manySegments(t)
			spoil(fs, segmentPath(recoverDir, 0))
			before := map[string]string{}
			for _, path := range fs.disk.Names() {
				before[path] = string(fs.content(path))
			}
			_, err := Open(recoverDir, o, OpenOptions{})
			var damage *DamagedError
			if want, _, _ := strings.Cut(label, " "); !errors.As(err, &damage) || damage.Case != want {
				t.Fatalf("open says %v, want the case %s", err, want)
			}
			for path, content := range before {
				if !fs.has(path) || string(fs.content(path)) != content {
					t.Errorf("%s was changed", path)
				}
			}
			if len(fs.disk.Names()) != len(before) || fs.open() != 0 {
				t.Errorf("%d files of %d, %d of them open", len(fs.disk.Names()), len(before), fs.open())
			}
		})
	}
}

// secondSegment is the path of the segment behind the first.
func secondSegment(fs *simFS) string {
	var logs []string
	for _, path := range fs.disk.Names() {
		if strings.HasSuffix(path, logSuffix) {
			logs = append(logs, path)
		}
	}
	slices.Sort(logs)
	return logs[1]
}

// The leftovers of an interrupted removal of several segments do not count as a lost segment.
func TestSegmentThatIsHalfRemovedIsNotTakenForALostOne(t *testing.T) {
	fs, o, _ := manySegments(t)
	second := secondSegment(fs)
	fs.copy(second, second+removedSuffix)
	fs.disk.Remove(second)
	openLog(t, recoverDir, o, OpenOptions{Clean: true})
}

func TestCleanStopSparesTheScanAndACrashScansTheLastSegmentAlone(t *testing.T) {
	fs, o, all := manySegments(t)
	for _, clean := range []bool{true, false} {
		after := fs.restart()
		before := after.disk.Operations()
		o.FS = after
		l := openLog(t, recoverDir, o, OpenOptions{Clean: clean})
		took := after.disk.Operations() - before
		t.Logf("clean %v: %d file operations for %d segments", clean, took, len(l.segments))
		for i, s := range l.segments {
			if i < len(l.segments)-1 && !s.finished() {
				t.Errorf("clean %v: segment %d has its index in memory", clean, i)
			}
		}
		if got := readAll(t, l, 0, 300); len(got) != len(all) {
			t.Errorf("clean %v: %d batches of %d", clean, len(got), len(all))
		}
		if took > 20*len(l.segments)+30 {
			t.Errorf("clean %v: %d file operations", clean, took)
		}
	}
}

func TestOtherFilesAreLeftAloneAndHalfDoneOnesAreRemoved(t *testing.T) {
	fs, o, _ := manySegments(t)
	for _, name := range []string{"README", "x.log", "notes.tmp", "old.deleted", "7.log.tmp", "next.log.tmp",
		"00000000000000000000.index.tmp", "00000000000000000007.log.deleted", "12.log"} {
		fs.disk.Put(filepath.Join(recoverDir, name), []byte("x"))
	}
	openLog(t, recoverDir, o, OpenOptions{Clean: true})
	for name, stays := range map[string]bool{"README": true, "x.log": true, "12.log": true,
		"notes.tmp": true, "old.deleted": true, "7.log.tmp": true, "next.log.tmp": false,
		"00000000000000000000.index.tmp": false, "00000000000000000007.log.deleted": false} {
		if got := fs.has(filepath.Join(recoverDir, name)); got != stays {
			t.Errorf("%s is there: %v, want %v", name, got, stays)
		}
	}
}
