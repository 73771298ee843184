package sim

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"oneplusn/segment/disk"
)

// aFile makes a file of three pages on a machine.
func aFile(t *testing.T, o DiskOptions) (*Machine, disk.FS, disk.File, []byte) {
	t.Helper()
	m := NewMachine(1, Options{Disk: o})
	t.Cleanup(m.Disk().Close)
	fs := m.Start().FileSystem()
	content := make([]byte, 3*pageBytes)
	m.RandomBytes(content)
	if err := fs.MkdirAll("/data"); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Open("/data/f", disk.Create)
	if err == nil {
		_, err = f.WriteAt([][]byte{content}, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		t.Fatal(err)
	}
	return m, fs, f, content
}

func TestBadSectorCannotBeReadUntilItIsWrittenAgain(t *testing.T) {
	m, _, f, content := aFile(t, DiskOptions{})
	m.Disk().Spoil("/data/f", pageBytes+10, 1, 0)
	b := make([]byte, len(content))
	if n, err := f.ReadAt(b, 0); n != pageBytes || !errors.Is(err, syscall.EIO) {
		t.Errorf("a read into the bad page gives %d bytes, %v", n, err)
	}
	if n := f.ReadResident(b, pageBytes); n != 0 {
		t.Errorf("%d bytes of the bad page are in the page cache", n)
	}
	if n, err := f.ReadAt(b[:pageBytes], 2*pageBytes); n != pageBytes || err != nil {
		t.Errorf("behind the bad page a read gives %d bytes, %v", n, err)
	}
	if _, err := f.WriteAt([][]byte{content[:10]}, pageBytes+20); !errors.Is(err, syscall.EIO) {
		t.Errorf("a write of a part of the bad page: %v", err)
	}
	if _, err := f.WriteAt([][]byte{content[pageBytes : 2*pageBytes]}, pageBytes); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	f.DropCache()
	if n, err := f.ReadAt(b, 0); err != nil || !bytes.Equal(b[:n], content) {
		t.Errorf("written again, the file has %d bytes, %v", n, err)
	}
}

func TestFullDiskTakesWritesWhenThereIsRoomAgain(t *testing.T) {
	m, fs, f, content := aFile(t, DiskOptions{CapacityBytes: 4 * pageBytes})
	n, err := f.WriteAt([][]byte{content}, int64(len(content)))
	if !errors.Is(err, syscall.ENOSPC) || n > pageBytes {
		t.Fatalf("%d bytes were written with room for a page: %v", n, err)
	}
	if _, err := f.WriteAt([][]byte{content}, 0); err != nil {
		t.Errorf("a write in place: %v", err)
	}
	m.Disk().Options().CapacityBytes = 8 * pageBytes
	if _, err := f.WriteAt([][]byte{content}, int64(len(content))); err != nil {
		t.Errorf("with room again: %v", err)
	}
	m.Disk().Options().CapacityBytes = 6 * pageBytes
	if _, err := fs.Open("/data/g", disk.Create); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a new file on a full disk: %v", err)
	}
	if err := errors.Join(fs.RemoveAll("/data/f"), f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Open("/data/g", disk.Create); err != nil {
		t.Errorf("a new file after another has gone: %v", err)
	}
}

// What a program does after it was killed has no effect, and of what it did at that moment a part.
func TestKilledProgramWritesNothingMore(t *testing.T) {
	m, _, f, content := aFile(t, DiskOptions{})
	m.Disk().FailAt(0, ErrKilled)
	for range 50 {
		n, err := f.WriteAt([][]byte{make([]byte, pageBytes)}, int64(len(content)))
		if !errors.Is(err, ErrKilled) || n >= pageBytes {
			t.Fatalf("%d bytes: %v", n, err)
		}
		content, _ := m.Disk().Content("/data/f")
		if size := len(content); n > 0 && size != 3*pageBytes+n {
			t.Fatalf("the file has %d bytes after a write of %d", size, n)
		}
	}
}
