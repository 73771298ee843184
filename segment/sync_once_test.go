package segment

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// The kernel tells of pages that it could not write to one sync of a descriptor, whichever asks first. A group commit and
// the finishing of a closed segment both sync that segment: the one that is not told must not believe its own success.
func TestErrorOfASyncIsNotMissedByTheOtherOne(t *testing.T) {
	lost, both := 0, 0
	for seed := range uint64(40) {
		for order := range 8 {
			planFirst, planRunsFirst, manual := order&1 > 0, order&2 > 0, order&4 > 0
			what := fmt.Sprintf("seed %d, planned first %v, run first %v, manual commit %v", seed, planFirst, planRunsFirst, manual)
			fs := newSimFS(t, seed)
			l := openLog(t, recoverDir, Options{FS: fs, SegmentBytes: 600, ManualCommit: manual}, OpenOptions{})
			for len(l.segments) < 2 {
				mustAppend(t, l, testBatch{value: 50})
			}
			var work func() func()
			if !planFirst {
				work = l.Work()
			}
			p, _ := l.SyncPlan()
			if planFirst {
				work = l.Work()
			}
			if manual && work != nil {
				t.Fatalf("%s: acknowledgements have to wait for all of finishing", what)
			}
			done, synced := func() {}, errors.New("the plan did not run")
			runPlan := func() { synced = doSync(p) }
			runWork := func() {
				if work != nil {
					done = work()
					both++
				}
			}
			first, second := runWork, runPlan
			if planRunsFirst {
				first, second = runPlan, runWork
			}
			fs.disk.FailSyncOf(segmentPath(recoverDir, 0))
			first()
			second()
			if synced == nil {
				l.Synced(p)
			} else {
				l.SyncFailed(p, synced)
			}
			if fs.disk.LostPages() > 0 && (l.DurableOffset() > 0 || manual && l.HighWatermark() > 0) {
				t.Fatalf("%s: pages are lost, and everything up to %d counts as durable", what, l.DurableOffset())
			}
			done()
			lost += fs.disk.LostPages()
			checkLostPagesAreNotServed(t, fs, l, what)
		}
	}
	if lost == 0 || both == 0 {
		t.Error("no page was lost, or no segment was finished beside a plan: the test tests nothing")
	}
}

// checkLostPagesAreNotServed kills a log and starts the next.
func checkLostPagesAreNotServed(t *testing.T, fs *simFS, l *Log, what string) {
	t.Helper()
	runWork(l)
	l, err := Open(recoverDir, l.options, OpenOptions{})
	var damaged *DamagedError
	if errors.As(err, &damaged) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range fs.disk.Names() {
		if strings.HasSuffix(path, logSuffix) && fs.disk.Lost(path) > 0 {
			t.Fatalf("%s: %d pages of %s are served and not on the disk", what, fs.disk.Lost(path), path)
		}
	}
	mustClose(t, l)
}
