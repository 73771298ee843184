package segment

import (
	"syscall"
	"testing"
)

// halfFS writes half of what is asked for and fails, as long as the disk is full, and counts the truncates.
type halfFS struct {
	FS
	full bool
	cuts int
}

type halfFile struct {
	File
	fs *halfFS
}

func (f *halfFS) Open(path string, access Access) (File, error) {
	file, err := f.FS.Open(path, access)
	return &halfFile{file, f}, err
}

func (f *halfFile) WriteAt(pieces [][]byte, offset int64) (int, error) {
	if !f.fs.full {
		return f.File.WriteAt(pieces, offset)
	}
	n, _ := f.File.WriteAt([][]byte{pieces[0][:len(pieces[0])/2]}, offset)
	return n, syscall.ENOSPC
}

func (f *halfFile) Truncate(size int64) error {
	f.fs.cuts++
	return f.File.Truncate(size)
}

// A write on the loop's thread that fails leaves its rest to the next write, which runs elsewhere: a truncate may wait for the disk.
func TestFailedWriteOnTheLoopCutsNothingThere(t *testing.T) {
	fs := &halfFS{FS: OS}
	l := openLog(t, t.TempDir(), Options{FS: fs}, OpenOptions{})
	mustAppend(t, l, testBatch{})
	fs.full, fs.cuts = true, 0
	w, err := l.BeginWrite()
	if err != nil {
		t.Fatal(err)
	}
	batch := testBatch{value: 50}.encode()
	checked, err := l.Check(batch)
	if err == nil {
		_, err = w.Add(batch, checked, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.RunInline()
	if err := l.EndWrite(w); err == nil || fs.cuts != 0 {
		t.Fatalf("the write ended with %v and %d truncates", err, fs.cuts)
	}
	fs.full = false
	if w, err = l.BeginWrite(); err != nil || w.Plain() {
		t.Errorf("the next write would run on the loop, too: %v", err)
	}
	_ = l.EndWrite(w)
	if got := mustAppend(t, l, testBatch{}); got.BaseOffset != 1 || fs.cuts != 1 || len(readAll(t, l, 0, 1<<20)) != 2 {
		t.Errorf("the next batch has offset %d after %d truncates", got.BaseOffset, fs.cuts)
	}
}
