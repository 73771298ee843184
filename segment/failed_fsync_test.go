package segment

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// A sync fails, and the kernel takes the pages for written. The log takes nothing more, and the start after it reads the
// disk and not the page cache, where the records still look as if they were safe.
func TestStartAfterAFailedSyncBelievesTheDiskAlone(t *testing.T) {
	lostOnes := 0
	for seed := range uint64(50) {
		fs := newSimFS(t, seed)
		o := Options{FS: fs, ManualCommit: true}
		l := openLog(t, recoverDir, o, OpenOptions{})
		mustAppend(t, l, testBatch{value: 200})
		p, _ := l.SyncPlan()
		if err := doSync(p); err != nil {
			t.Fatal(err)
		}
		l.Synced(p)
		mustAppend(t, l, testBatch{value: 200})
		p, _ = l.SyncPlan()
		fs.failSyncs(true)
		l.SyncFailed(p, doSync(p))
		fs.failSyncs(false)
		if _, err := l.Append(testBatch{}.encode(), 1); !errors.Is(err, ErrPoisoned) || !errors.Is(err, syscall.EIO) {
			t.Fatalf("an append after a failed sync: %v", err)
		}
		if _, ok := l.SyncPlan(); ok || l.HighWatermark() != 1 {
			t.Fatalf("after a failed sync another is begun, or the high watermark is %d", l.HighWatermark())
		}
		mark := filepath.Join(recoverDir, failedSyncFile)
		if runWork(l); !fs.has(mark) {
			t.Fatal("the failed sync left no mark")
		}
		// The process is killed, and the next one starts.
		lost := fs.disk.Lost(segmentPath(recoverDir, 0)) > 0
		l = openLog(t, recoverDir, o, OpenOptions{})
		if lost && l.HighWatermark() != 1 {
			t.Errorf("seed %d: pages are lost, and the high watermark is %d", seed, l.HighWatermark())
		}
		if lost {
			lostOnes++
		}
		end := l.HighWatermark()
		if fs.has(mark) {
			t.Error("the mark is still there after the log was read from the disk")
		}
		l = openLog(t, recoverDir, Options{FS: fs.powerLoss()}, OpenOptions{})
		if l.HighWatermark() < end {
			t.Errorf("seed %d: up to %d was served, after a loss of power the log ends at %d", seed, end, l.HighWatermark())
		}
	}
	if lostOnes == 0 {
		t.Error("no page was lost: the test tests nothing")
	}
}

// The kernel may have failed to write pages back by itself, and reports that to the first sync: that is the next
// start, if the process was killed before its sync.
func TestStartWhoseSyncFailsRefusesAndTheNextReadsTheDisk(t *testing.T) {
	for seed := range uint64(50) {
		fs := newSimFS(t, seed)
		o := Options{FS: fs}
		l := openLog(t, recoverDir, o, OpenOptions{})
		for range 3 {
			mustAppend(t, l, testBatch{value: 100})
		}
		fs.failSyncs(true)
		if _, err := Open(recoverDir, o, OpenOptions{}); !errors.Is(err, syscall.EIO) {
			t.Fatalf("a start whose sync fails: %v", err)
		}
		fs.failSyncs(false)
		if lost := fs.disk.Lost(segmentPath(recoverDir, 0)); lost > 0 {
			t.Errorf("seed %d: %d pages look as if they were on the disk", seed, lost)
		}
	}
}

// A clean stop of a log whose sync failed leaves the mark too, if there was no time for it before.
func TestCloseOfAPoisonedLogLeavesTheMark(t *testing.T) {
	fs := newSimFS(t, 3)
	l := openLog(t, recoverDir, Options{FS: fs}, OpenOptions{})
	mustAppend(t, l, testBatch{})
	p, _ := l.SyncPlan()
	l.SyncFailed(p, syscall.EIO)
	if err := l.Close(); !errors.Is(err, ErrPoisoned) {
		t.Errorf("close: %v", err)
	}
	if !fs.has(filepath.Join(recoverDir, failedSyncFile)) {
		t.Error("there is no mark")
	}
}

// A plan may not have come back, since the kernel has failed. If its sync failed, no later one tells.
func TestCloseBeforeAPlanCameBackDoesNotTrustItsOwnSync(t *testing.T) {
	lost := 0
	for seed := range uint64(20) {
		fs := newSimFS(t, seed)
		o := Options{FS: fs, ManualCommit: true}
		l := openLog(t, recoverDir, o, OpenOptions{})
		mustAppend(t, l, testBatch{value: 200})
		p, _ := l.SyncPlan()
		fs.failSyncs(true)
		_ = doSync(p)
		fs.failSyncs(false)
		lost += fs.disk.LostPages()
		if err := l.Close(); err == nil {
			t.Errorf("seed %d: the log was closed cleanly, and %d pages are lost", seed, fs.disk.LostPages())
		}
		openLog(t, recoverDir, o, OpenOptions{})
		if n := fs.disk.Lost(segmentPath(recoverDir, 0)); n > 0 {
			t.Errorf("seed %d: the next start trusts %d pages that are not on the disk", seed, n)
		}
	}
	if lost == 0 {
		t.Error("no page was lost: the test tests nothing")
	}
}

// The mark may have been handed out and not be written yet, or not have been possible: the end of the log is the last
// chance.
func TestCloseLeavesTheMarkThatTheWorkBeforeItDidNot(t *testing.T) {
	for name, work := range map[string]func(l *Log, fs *simFS) (later func()){
		"it has not run": func(l *Log, _ *simFS) func() {
			work := l.Work()
			return func() { work()() }
		},
		"it failed": func(l *Log, fs *simFS) func() {
			fs.disk.FailOnce(0, syscall.ENOSPC)
			runWork(l)
			fs.disk.FailOnce(-1, nil)
			return func() {}
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := newSimFS(t, 4)
			l := openLog(t, recoverDir, Options{FS: fs}, OpenOptions{})
			mustAppend(t, l, testBatch{})
			p, _ := l.SyncPlan()
			l.SyncFailed(p, syscall.EIO)
			later := work(l, fs)
			if err := l.Close(); !errors.Is(err, ErrPoisoned) {
				t.Errorf("close: %v", err)
			}
			later()
			if !fs.has(filepath.Join(recoverDir, failedSyncFile)) {
				t.Error("there is no mark")
			}
		})
	}
}
