package segment

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// lateFS closes files only when the test lets it.
type lateFS struct {
	FS
	late            atomic.Bool
	closing, closed chan string
}

type lateFile struct {
	File
	fs   *lateFS
	path string
}

func (f *lateFS) Open(path string, access Access) (File, error) {
	file, err := f.FS.Open(path, access)
	return lateFile{file, f, path}, err
}

func (f *lateFS) IsNamed(file File, path string) (bool, error) {
	return f.FS.IsNamed(file.(lateFile).File, path)
}

func (f lateFile) Close() error {
	if f.fs.late.Load() {
		f.fs.closing <- f.path
		<-f.fs.closed
	}
	return f.File.Close()
}

// Releasing the last reference to a segment does not wait for its file to be closed.
func TestReleaseDoesNotWaitForTheFileToBeClosed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "t-0")
	slow := &lateFS{FS: OS, closing: make(chan string, 100), closed: make(chan string)}
	closer := &Closer{Spawn: inGoroutine}
	l := openLog(t, dir, Options{FS: slow, Closer: closer, SegmentBytes: 1000}, OpenOptions{})
	for len(l.segments) < 3 {
		mustAppend(t, l, testBatch{value: 200})
		runWork(l)
	}
	s := l.segments[0]
	if _, err := s.Map(); err != nil {
		t.Fatal(err)
	}
	s.Retain()
	slow.late.Store(true)
	gone := l.Delete()
	if err := errors.Join(gone.MoveAside(), gone.Remove()); err != nil {
		t.Fatal(err)
	}
	s.Release() // nobody has let a file be closed yet
	if s.Held() || s.mapped != nil {
		t.Error("the segment is still held")
	}
	close(slow.closed)
	closer.Wait()
	if _, err := s.file.Stat(); err == nil {
		t.Error("the file is open after Wait")
	}
	if len(slow.closing) < 5 {
		t.Errorf("%d files were closed", len(slow.closing))
	}
	if closer.closing > 0 || len(closer.queue) > 0 {
		t.Error("something is left to close after Wait")
	}
	closer.closeFile(lateFile{s.file.(lateFile).File, slow, "again"}) // it begins again
	closer.Wait()
	(&Closer{}).Wait()
	(*Closer)(nil).Wait()
}

// A segment is mapped as far as it reaches, whatever its capacity is, and what was mapped before stays.
func TestMappingReachesToTheEndOfTheSegment(t *testing.T) {
	dir := t.TempDir()
	raw := testBatch{value: 50_000}.encode()
	if err := os.WriteFile(segmentPath(dir, 0), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, clean := range []bool{false, true} {
		l := openLog(t, dir, Options{SegmentBytes: 20_000}, OpenOptions{Clean: clean})
		s := l.segments[0]
		m, err := s.Map()
		if err != nil || int64(len(m)) < s.size || m[s.size-1] != raw[len(raw)-1] {
			t.Fatalf("clean %v: %d of %d bytes are mapped, %v", clean, len(m), s.size, err)
		}
		mustClose(t, l)
	}
	l := openLog(t, filepath.Join(dir, "u-0"), Options{SegmentBytes: 1 << 20, MaxBatchBytes: 1 << 20}, OpenOptions{})
	s := l.segments[0]
	s.capacity = 4096
	mustAppend(t, l, testBatch{value: 100})
	first, err := s.Map()
	if err != nil {
		t.Fatal(err)
	}
	s.capacity = 1 << 20 // as if it had been made for more
	mustAppend(t, l, testBatch{value: 20_000})
	second, err := s.Map()
	if err != nil || int64(len(second)) < s.size {
		t.Fatalf("%d of %d bytes are mapped, %v", len(second), s.size, err)
	}
	if first[0] != second[0] || len(s.outgrown) != 1 || second[s.size-2] != 'v' {
		t.Error("the first mapping is gone, or the second is not the file's")
	}
	if third, err := s.Map(); err != nil || &third[0] != &second[0] {
		t.Errorf("it is mapped again without need, %v", err)
	}
	mustClose(t, l)
	if err := unix.Munmap(first); err == nil {
		t.Error("the first mapping was left behind")
	}
}

// Reading or trimming other files does not wait for a slow close, such as the last one of a large segment.
func TestNobodyWaitsForAFinishedSegmentToBeClosed(t *testing.T) {
	slow := &lateFS{FS: OS, closing: make(chan string), closed: make(chan string)}
	o := Options{FS: slow, Closer: &Closer{Spawn: inGoroutine}, Files: NewFiles(100, 100), SegmentBytes: 1000}
	l := openLog(t, filepath.Join(t.TempDir(), "t-0"), o, OpenOptions{})
	for len(l.segments) < 3 {
		mustAppend(t, l, testBatch{value: 200})
		runWork(l)
	}
	o.Files.Started()
	slow.late.Store(true)
	l.Delete()
	closed := make(chan bool)
	go func() { o.Closer.Wait(); close(closed) }()
	for n := 0; ; n++ {
		select {
		case path := <-slow.closing:
			if !o.Files.mu.TryLock() {
				t.Error("all files are locked while this one is closed:", path)
			} else {
				o.Files.mu.Unlock()
			}
			slow.closed <- path
			continue
		case <-closed:
		}
		if n < 4 {
			t.Errorf("%d files were closed", n)
		}
		return
	}
}

func inGoroutine(f func()) { go f() }
