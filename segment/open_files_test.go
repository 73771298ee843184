package segment

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"oneplusn/segment/records"
)

// openFilesIn are the descriptors that this process has on files below a directory.
func openFilesIn(t *testing.T, dir string) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && len(target) > len(dir) && target[:len(dir)] == dir {
			n++
		}
	}
	return n
}

// However many segments a log has, few of their files are open, at the start too, and reads return the same.
func TestFilesOfFinishedSegmentsAreOpenOnlyWhileTheyAreRead(t *testing.T) {
	const limit, segments = 6, 40
	dir := t.TempDir()
	o := Options{SegmentBytes: 1 << 14, Files: NewFiles(limit, 1000)}
	o.Files.Started()
	l := openLog(t, dir, o, OpenOptions{})
	for range segments {
		mustAppend(t, l, testBatch{value: 9000, timestamp: 1})
		mustAppend(t, l, testBatch{value: 100, timestamp: 1})
		runWork(l)
		o.Files.Trim()
	}
	for life := range 2 {
		o.Files.Started()
		if n := openFilesIn(t, dir); n > limit+3 { // the active segment, the next one, the lock of nothing
			t.Errorf("life %d: %d files are open, the limit is %d", life, n, limit)
		}
		for offset := range int64(2 * segments) {
			r, err := l.Read(offset, 1<<20)
			if errors.Is(err, ErrCold) {
				r, err = l.ReadBlocking(offset, 1<<20)
			}
			if err != nil {
				t.Fatalf("life %d, offset %d: %v", life, offset, err)
			}
			if h := headersOf(t, bytesOf(t, r)); h[0].BaseOffset != offset {
				t.Errorf("life %d: the range for %d begins with %d", life, offset, h[0].BaseOffset)
			}
			o.Files.Trim()
			if n := o.Files.Open(); n > limit {
				t.Fatalf("life %d: %d files are open after Trim, the limit is %d", life, n, limit)
			}
		}
		mustClose(t, l)
		if n := o.Files.Open(); n != 0 {
			t.Errorf("life %d: %d files are open after the close", life, n)
		}
		o.Files = NewFiles(limit, 1000)
		l = openLog(t, dir, o, OpenOptions{Clean: true})
	}
}

// A held segment keeps its descriptor, whatever else is read; its release makes it evictable.
func TestHeldSegmentKeepsItsFile(t *testing.T) {
	o := Options{SegmentBytes: 1 << 14, Files: NewFiles(2, 1000)}
	l := openLog(t, t.TempDir(), o, OpenOptions{})
	for range 20 {
		mustAppend(t, l, testBatch{value: 9000, timestamp: 1})
		runWork(l)
	}
	r, err := l.ReadBlocking(3, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	r.Segment.Retain()
	fd, want := r.Segment.Fd(), bytesOf(t, r)
	for range 3 {
		for offset := range int64(20) {
			if _, err := l.ReadBlocking(offset, 1<<20); err != nil {
				t.Fatal(err)
			}
			o.Files.Trim()
		}
	}
	if r.Segment.Fd() != fd || !slices.Equal(bytesOf(t, r), want) {
		t.Error("the descriptor of a held segment changed")
	}
	r.Segment.Release()
	for range 3 {
		o.Files.Trim()
	}
	if n := o.Files.Open(); n > 2 {
		t.Errorf("%d files are open", n)
	}
}

// A lookup of a log that was deleted opens no file of its successor, which has the same name.
func TestDeletedLogOpensNoFileOfItsSuccessor(t *testing.T) {
	dir := t.TempDir() + "/t-0"
	o := Options{SegmentBytes: 1 << 14, Files: NewFiles(0, 1000)}
	l := openLog(t, dir, o, OpenOptions{})
	for range 5 {
		mustAppend(t, l, testBatch{value: 9000, timestamp: 1})
		runWork(l)
	}
	for range 3 {
		o.Files.Trim()
	}
	if _, err := l.Read(0, 1<<20); !errors.Is(err, ErrCold) {
		t.Fatalf("a file that rests was read: %v", err)
	}
	k := l.Lookup(0, 1<<20, records.None)
	gone := l.Delete()
	if err := gone.MoveAside(); err != nil {
		t.Fatal(err)
	}
	successor := openLog(t, dir, o, OpenOptions{})
	mustAppend(t, successor, testBatch{value: 10, timestamp: 1})
	k.Run()
	k.Release()
	if !errors.Is(k.err, ErrClosed) {
		t.Errorf("the lookup of a deleted log: %v", k.err)
	}
	if _, err := l.Looked(k, 0, 1<<20); !errors.Is(err, ErrClosed) {
		t.Errorf("what it found is used: %v", err)
	}
	if err := gone.Remove(); err != nil {
		t.Fatal(err)
	}
}

// A file that cannot be opened again is an error of its reads, not of the log.
func TestFileThatCannotBeOpenedAgainIsAnErrorOfTheRead(t *testing.T) {
	dir := t.TempDir()
	o := Options{SegmentBytes: 1 << 14, Files: NewFiles(0, 1000)}
	l := openLog(t, dir, o, OpenOptions{})
	for range 5 {
		mustAppend(t, l, testBatch{value: 9000, timestamp: 1})
		runWork(l)
	}
	for range 3 {
		o.Files.Trim()
	}
	path := segmentPath(dir, 1)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.ReadBlocking(1, 1<<20); !errors.Is(err, ErrStorage) {
		t.Errorf("reading a file that is gone: %v", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	for offset := range int64(5) {
		if _, err := l.ReadBlocking(offset, 1<<20); err != nil {
			t.Error(fmt.Errorf("offset %d: %w", offset, err))
		}
	}
}

// Where segments end faster than the disk takes them, appends wait for the work that is under way.
func TestAppendsWaitForSegmentsThatAreNotFinished(t *testing.T) {
	const most = 3
	o := Options{SegmentBytes: 1 << 14, Files: NewFiles(10, most)}
	l := openLog(t, t.TempDir(), o, OpenOptions{})
	var pending []func() func()
	for range 50 {
		batch := testBatch{value: 9000, timestamp: 1}
		_, err := l.Append(batch.encode(), 1)
		if errors.Is(err, ErrNextWrite) {
			if len(pending) == 0 {
				t.Fatal("an append waits for nothing")
			}
			for _, work := range pending {
				work()()
			}
			pending = nil
		} else if err != nil {
			t.Fatal(err)
		}
		if n := o.Files.unfinished.Load(); n > most {
			t.Fatalf("%d segments are not finished, allowed are %d", n, most)
		}
		if work := l.Work(); work != nil {
			pending = append(pending, work)
		}
	}
	for _, work := range pending {
		work()()
	}
	runWork(l)
	if n := o.Files.unfinished.Load(); n != 0 {
		t.Errorf("%d segments are counted, all are finished", n)
	}
}
