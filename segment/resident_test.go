package segment

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// mount mounts a file system for the time of the test.
func mount(t *testing.T, kind, dir, options string) {
	t.Helper()
	err := unix.Mount(kind, dir, kind, 0, options)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENODEV) {
		t.Skipf("%s cannot be mounted here (CAP_SYS_ADMIN): %v", kind, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// overlay is a directory of an overlay, whose files are on the file system of temporary directories.
func overlay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at := make(map[string]string)
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		at[name] = filepath.Join(dir, name)
		if err := os.Mkdir(at[name], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mount(t, "overlay", at["merged"], fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", at["lower"], at["upper"], at["work"]))
	return at["merged"]
}

// residentDirs are directories of the file systems that data directories are on: with RWF_NOWAIT and without it.
var residentDirs = map[string]func(t *testing.T) string{
	"disk":    func(t *testing.T) string { return t.TempDir() },
	"overlay": overlay,
	"tmpfs": func(t *testing.T) string {
		dir := t.TempDir()
		mount(t, "tmpfs", dir, "size=16m")
		return dir
	},
	"ramfs": func(t *testing.T) string {
		dir := t.TempDir()
		mount(t, "ramfs", dir, "")
		return dir
	},
}

func TestResidentPagesAreReadOnEveryFileSystem(t *testing.T) {
	for name, dir := range residentDirs {
		t.Run(name, func(t *testing.T) {
			f, content := residentFile(t, dir(t))
			for _, c := range []struct{ offset, n, want int }{
				{0, 61, 61}, {0, 4157, 4157}, {4090, 4157, 4157}, {99_999, 4157, 4157}, {197_000, 4157, 3000}, {200_000, 61, 0}, {0, 0, 0},
			} {
				b := bytes.Repeat([]byte{0xee}, c.n)
				n := f.ReadResident(b, int64(c.offset))
				if n != c.want || !bytes.Equal(b[:n], content[c.offset:c.offset+n]) {
					t.Errorf("of %d bytes at %d there came %d, want %d", c.n, c.offset, n, c.want)
				}
			}
			b := make([]byte, 4096)
			if n := testing.AllocsPerRun(100, func() { f.ReadResident(b, 5000) }); n > 0 {
				t.Errorf("a read allocates %v times", n)
			}
		})
	}
}

// residentFile is a file of 200,000 bytes that were just written.
func residentFile(t *testing.T, dir string) (f File, content []byte) {
	t.Helper()
	content = make([]byte, 200_000)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	f, err := OS.Open(filepath.Join(dir, "file"), Create)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err := f.WriteAt([][]byte{content}, 0); err != nil {
		t.Fatal(err)
	}
	return f, content
}

// Pages dropped from the page cache have to come from the disk, and ReadResident does not wait for that.
func TestPagesThatAreNotResidentAreNotWaitedFor(t *testing.T) {
	for _, name := range []string{"disk", "overlay"} {
		t.Run(name, func(t *testing.T) {
			dir := residentDirs[name](t)
			needsDisk(t, filepath.Dir(dir))
			f, content := residentFile(t, dir)
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 4096)
			dropPages(t, f)
			for n, tries := f.ReadResident(b, 100_000), 0; n != 0; n, tries = f.ReadResident(b, 100_000), tries+1 {
				if tries == 100 {
					t.Fatalf("%d bytes were read that had been dropped from the page cache", n)
				}
				dropPages(t, f) // somebody else may have held a page
			}
			if _, err := f.ReadAt(b, 100_000); err != nil {
				t.Fatal(err)
			}
			clear(b)
			if n := f.ReadResident(b, 100_000); n != len(b) || !bytes.Equal(b, content[100_000:100_000+n]) {
				t.Errorf("after a read %d bytes are resident, want %d", n, len(b))
			}
		})
	}
}

// needsDisk fails the test where files have no other place than the page cache.
func needsDisk(t *testing.T, dir string) {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
		t.Fatal("the directory of temporary files is in memory, where nothing is ever cold: set TMPDIR, as make test does")
	}
}

// dropPages takes a file's pages out of the page cache, if nobody uses them.
func dropPages(t *testing.T, f File) {
	t.Helper()
	if err := unix.Fadvise(f.Fd(), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
}
