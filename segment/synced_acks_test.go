package segment

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

func hasMark(fs *simFS) bool { return fs.has(filepath.Join(recoverDir, syncedAcksFile)) }

func hasDurableMark(fs *simFS) bool {
	return fs.disk.IsDurable(filepath.Join(recoverDir, syncedAcksFile))
}

// commit syncs everything.
func commit(t *testing.T, l *Log) {
	t.Helper()
	p, ok := l.SyncPlan()
	if !ok {
		t.Fatal("there is nothing to sync")
	}
	if err := doSync(p); err != nil {
		t.Fatal(err)
	}
	l.Synced(p)
}

func TestPromiseToSyncIsOnDiskBeforeItIsGiven(t *testing.T) {
	fs := newSimFS(t, 41)
	o := Options{FS: fs}
	l := openLog(t, recoverDir, o, OpenOptions{})
	mustAppend(t, l, testBatch{})
	commit(t, l)
	if hasMark(fs) {
		t.Fatal("a log that promises nothing has the mark")
	}
	o.ManualCommit = true
	l.Configure(o)
	mustAppend(t, l, testBatch{})
	p, ok := l.SyncPlan()
	if !ok || p.SyncDir == nil {
		t.Fatal("the plan does not leave the mark")
	}
	if l.HighWatermark() != 1 {
		t.Fatalf("the high watermark is %d before the sync", l.HighWatermark())
	}
	if err := doSync(p); err != nil {
		t.Fatal(err)
	}
	if !hasDurableMark(fs) {
		t.Fatal("the plan is done and the mark is not durable")
	}
	l.Synced(p)
	mustAppend(t, l, testBatch{})
	if p, _ := l.SyncPlan(); p.SyncDir != nil {
		t.Error("the mark is left twice")
	}
	// A log that opens with the promise has the mark at once.
	fs = newSimFS(t, 42)
	o.FS = fs
	openLog(t, recoverDir, o, OpenOptions{})
	if !hasDurableMark(fs) {
		t.Error("a new log has no mark")
	}
}

func TestMarkThatCannotBeLeftEndsTheWriting(t *testing.T) {
	fs := newSimFS(t, 43)
	o := Options{FS: fs}
	l := openLog(t, recoverDir, o, OpenOptions{})
	o.ManualCommit = true
	l.Configure(o)
	mustAppend(t, l, testBatch{})
	p, _ := l.SyncPlan()
	fs.disk.FailSyncOf(filepath.Join(recoverDir, syncedAcksFile))
	err := doSync(p)
	if !errors.Is(err, syscall.EIO) {
		t.Fatalf("the plan: %v", err)
	}
	l.SyncFailed(p, err)
	if l.HighWatermark() != 0 || l.Poisoned() == nil {
		t.Errorf("the high watermark is %d, poisoned: %v", l.HighWatermark(), l.Poisoned())
	}
}

// After a change of policy the mark goes once the recovery point covers all acknowledged records.
func TestMarkGoesWhenTheRecoveryPointCoversWhatItProtects(t *testing.T) {
	fs := newSimFS(t, 44)
	strict := Options{FS: fs, ManualCommit: true}
	loose := Options{FS: fs}
	l := openLog(t, recoverDir, strict, OpenOptions{})
	mustAppend(t, l, testBatch{})
	mustAppend(t, l, testBatch{})
	commit(t, l)
	l.Checkpointed(1)
	l.Configure(loose)
	if runWork(l); !hasMark(fs) {
		t.Fatal("the mark went before the recovery point came")
	}
	mustAppend(t, l, testBatch{}) // promised nothing
	l.Checkpointed(2)
	if runWork(l); hasMark(fs) {
		t.Fatal("the mark is still there")
	}
	// The policy may change while the work is under way, in any order of the two.
	for _, early := range []bool{true, false} {
		l.Configure(strict)
		mustAppend(t, l, testBatch{})
		commit(t, l)
		if !hasMark(fs) {
			t.Fatal("there is no mark")
		}
		l.Checkpointed(l.DurableOffset())
		l.Configure(loose)
		work := l.Work()
		l.Configure(strict)
		mustAppend(t, l, testBatch{})
		if early {
			work()()
		}
		commit(t, l)
		if !early {
			work()()
		}
		if !hasDurableMark(fs) || !hasMark(fs) {
			t.Errorf("early %v: an acknowledgement waited for its sync, and there is no mark", early)
		}
	}
	mustClose(t, l)
	// A start without the promise keeps it as long.
	l = openLog(t, recoverDir, loose, OpenOptions{Clean: true})
	if runWork(l); !hasMark(fs) {
		t.Error("a start forgets the mark before the recovery point is written")
	}
	l.Checkpointed(l.DurableOffset())
	if runWork(l); hasMark(fs) {
		t.Error("the mark is still there after the next start")
	}
}
