package segment

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"oneplusn/ring/sim"
)

// mustBegin begins a write.
func mustBegin(t *testing.T, l *Log) *Write {
	t.Helper()
	w, err := l.BeginWrite()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// offer adds a batch to a write.
func offer(t *testing.T, w *Write, b testBatch) (Appended, error) {
	t.Helper()
	raw := b.encode()
	in, err := w.log.Check(raw)
	if err != nil {
		t.Fatal(err)
	}
	return w.Add(raw, in, b.timestamp)
}

// Batches of a write in flight are not part of the log, whatever runs meanwhile; later batches wait.
func TestWriteInFlightIsNoPartOfTheLogUntilItHasEnded(t *testing.T) {
	l := openLog(t, recoverDir, Options{FS: newSimFS(t, 81), SegmentBytes: 500}, OpenOptions{})
	mustAppend(t, l, testBatch{value: 20})
	w := mustBegin(t, l)
	for i := range 3 {
		if a, err := offer(t, w, testBatch{value: 20, records: 2}); err != nil || a.BaseOffset != int64(1+2*i) {
			t.Fatalf("batch %d: %+v, %v", i, a, err)
		}
	}
	check := func(end int64) {
		t.Helper()
		if l.LogEndOffset() != end || l.HighWatermark() != end || int64(len(readAll(t, l, 0, 1000))) != min(end, 4) {
			t.Errorf("the log ends at %d, the high watermark is %d, %d batches can be read", l.LogEndOffset(), l.HighWatermark(),
				len(readAll(t, l, 0, 1000)))
		}
	}
	check(1)
	if _, err := l.BeginWrite(); !errors.Is(err, ErrNextWrite) {
		t.Errorf("a second write beside the first: %v", err)
	}
	w.Run()
	check(1)
	if err := l.EndWrite(w); err != nil {
		t.Fatal(err)
	}
	check(7)
}

func TestWriteTakesWhatFitsAndNoMore(t *testing.T) {
	fs := newSimFSOf(t, 82, sim.Options{Disk: sim.DiskOptions{FileBytes: 8 << 20}})
	l := openLog(t, recoverDir, Options{FS: fs, SegmentBytes: 4 << 20, MaxBatchBytes: 2 << 20}, OpenOptions{})
	for name, c := range map[string]struct {
		batch testBatch
		want  int
	}{
		"by number":               {testBatch{value: 10}, maxWritePieces},
		"by size":                 {testBatch{value: 300 << 10}, 3},
		"one larger than a write": {testBatch{value: 1<<20 + 10}, 1},
	} {
		w, n := mustBegin(t, l), 0
		var err error
		for ; err == nil; n++ {
			_, err = offer(t, w, c.batch)
		}
		if n-1 != c.want || !errors.Is(err, ErrNextWrite) {
			t.Errorf("%s: %d batches, then %v; want %d", name, n-1, err, c.want)
		}
		before := l.LogEndOffset()
		w.Run()
		if err := l.EndWrite(w); err != nil || l.LogEndOffset() != before+int64(c.want) {
			t.Errorf("%s: %d records were added, %v", name, l.LogEndOffset()-before, err)
		}
	}
}

// Whether an idempotent producer's batch is in order or a repetition is known when the one before it was written.
func TestProducersNextBatchWaitsForTheWriteOfItsLast(t *testing.T) {
	fs := newSimFS(t, 83)
	l := openLog(t, recoverDir, Options{FS: fs}, OpenOptions{})
	first, second := testBatch{producer: 5, sequence: 0, value: 20}, testBatch{producer: 5, sequence: 1, value: 20}
	for _, fails := range []bool{true, false} {
		w := mustBegin(t, l)
		if _, err := offer(t, w, first); err != nil {
			t.Fatal(err)
		}
		if _, err := offer(t, w, testBatch{producer: 6, value: 20}); err != nil && fails {
			t.Errorf("another producer's batch: %v", err)
		}
		for name, b := range map[string]testBatch{"the same again": first, "the next": second} {
			if _, err := offer(t, w, b); !errors.Is(err, ErrNextWrite) {
				t.Errorf("%s beside the first: %v", name, err)
			}
		}
		if fails {
			fs.disk.FailOnce(0, syscall.ENOSPC)
		}
		w.Run()
		if err := l.EndWrite(w); errors.Is(err, ErrStorage) != fails {
			t.Fatalf("the write: %v", err)
		}
	}
	if a, err := l.Append(first.encode(), 1); err != nil || !a.Duplicate {
		t.Errorf("the same again after the write: %+v, %v", a, err)
	}
	if a, err := l.Append(second.encode(), 1); err != nil || a.Duplicate {
		t.Errorf("the next after the write: %+v, %v", a, err)
	}
}

// A write that was under way when the log was closed counts; one that had not begun is dropped.
func TestCloseWaitsForTheWriteInFlight(t *testing.T) {
	for _, runs := range []bool{true, false} {
		dir := t.TempDir()
		l := openLog(t, dir, Options{SegmentBytes: 300}, OpenOptions{})
		mustAppend(t, l, testBatch{value: 200})
		w := mustBegin(t, l)
		if _, err := offer(t, w, testBatch{value: 200}); err != nil {
			t.Fatal(err)
		}
		want := int64(1)
		if runs {
			w.Run()
			want = 2
		}
		mustClose(t, l)
		w.Run() // late: it writes nothing any more
		l = openLog(t, dir, Options{}, OpenOptions{Clean: true})
		if l.LogEndOffset() != want || len(readAll(t, l, 0, 1000)) != int(want) {
			t.Errorf("the log ends at %d, want %d", l.LogEndOffset(), want)
		}
	}
}

// The files of a log that is deleted while it writes are closed, and nothing of the write comes into the directory of the
// next log of its name: neither when it ran before nor when it runs after.
func TestDeletedLogsWriteLeavesNothingBehind(t *testing.T) {
	for _, prepared := range []bool{true, false} {
		for _, late := range []bool{true, false} {
			dir := filepath.Join(t.TempDir(), "t-0")
			o := Options{SegmentBytes: 1000}
			l := openLog(t, dir, o, OpenOptions{})
			mustAppend(t, l, testBatch{value: 900})
			if prepared {
				runWork(l)
			}
			w := mustBegin(t, l)
			if _, err := offer(t, w, testBatch{value: 900}); err != nil || !w.begins || (w.prepared != nil) != prepared {
				t.Fatalf("the write: %+v, %v", w, err)
			}
			if !late {
				w.Run()
			}
			file := w.target.file
			gone := l.Delete()
			if err := gone.MoveAside(); err != nil {
				t.Fatal(err)
			}
			fresh := openLog(t, dir, o, OpenOptions{})
			if late {
				w.Run()
			}
			files := []File{file}
			for _, f := range []File{w.prepared, w.fresh} {
				if f != nil {
					files = append(files, f)
				}
			}
			if err := l.EndWrite(w); !errors.Is(err, ErrClosed) {
				t.Errorf("the end of the write: %v", err)
			}
			for _, f := range files {
				if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
					t.Errorf("a file is still open: %v", err)
				}
			}
			if _, err := l.BeginWrite(); !errors.Is(err, ErrClosed) {
				t.Errorf("another write: %v", err)
			}
			if err := gone.Remove(); err != nil {
				t.Error(err)
			}
			if names, err := filepath.Glob(filepath.Join(dir, "*.log*")); err != nil || len(names) != 1 {
				t.Errorf("the directory of the next log has %v, %v", names, err)
			}
			mustClose(t, fresh)
		}
	}
}

// A log that was poisoned while it wrote takes nothing of the write.
func TestWriteOfALogThatWasPoisonedMeanwhileIsRefused(t *testing.T) {
	l := openLog(t, recoverDir, Options{FS: newSimFS(t, 84)}, OpenOptions{})
	mustAppend(t, l, testBatch{})
	p, _ := l.SyncPlan()
	w := mustBegin(t, l)
	if _, err := offer(t, w, testBatch{}); err != nil {
		t.Fatal(err)
	}
	w.Run()
	l.SyncFailed(p, syscall.EIO)
	if err := l.EndWrite(w); !errors.Is(err, ErrPoisoned) || l.LogEndOffset() != 1 {
		t.Errorf("the log ends at %d: %v", l.LogEndOffset(), err)
	}
}

// What was handed out knows all that it needs: a change of the options meanwhile is for what comes after. For the race
// detector.
func TestConfigurationChangesWhileAWriteAndASyncRun(t *testing.T) {
	l := openLog(t, t.TempDir(), Options{SegmentBytes: 300}, OpenOptions{})
	for len(l.segments) < 2 {
		mustAppend(t, l, testBatch{value: 200})
	}
	w := mustBegin(t, l)
	if _, err := offer(t, w, testBatch{value: 200}); err != nil || !w.begins {
		t.Fatalf("the write: %+v, %v", w, err)
	}
	p, ok := l.SyncPlan()
	if !ok || p.SyncDir == nil {
		t.Fatalf("the plan is %+v, %v", p, ok)
	}
	synced := make(chan error, 2)
	go func() { w.Run(); synced <- nil }()
	go func() { synced <- p.SyncDir() }()
	l.Configure(Options{SegmentBytes: 400, AppendTime: true})
	for range 2 {
		if err := <-synced; err != nil {
			t.Error(err)
		}
	}
	l.Synced(p)
	if err := l.EndWrite(w); err != nil || l.HighWatermark() != 3 {
		t.Errorf("the high watermark is %d: %v", l.HighWatermark(), err)
	}
}

// In steady state a write allocates nothing, however many appends share it.
func TestWriteAllocatesNothing(t *testing.T) {
	l := openLog(t, t.TempDir(), Options{}, OpenOptions{})
	var batches [10][]byte
	for i := range batches {
		batches[i] = testBatch{value: 100}.encode()
	}
	in, err := l.Check(batches[0])
	if err != nil {
		t.Fatal(err)
	}
	n := testing.AllocsPerRun(100, func() {
		w, err := l.BeginWrite()
		for i := range batches {
			if err == nil {
				_, err = w.Add(batches[i], in, 1)
			}
		}
		if err == nil {
			w.Run()
			err = l.EndWrite(w)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if n > 0.5 { // the index grows now and then
		t.Errorf("%v allocations for each write", n)
	}
}
