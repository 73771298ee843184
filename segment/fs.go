package segment

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"oneplusn/segment/disk"
)

// The file system as logs use it: see package disk.
type (
	FS     = disk.FS
	File   = disk.File
	Access = disk.Access
)

// The kinds of access.
const (
	ReadOnly  = disk.ReadOnly
	ReadWrite = disk.ReadWrite
	Create    = disk.Create
)

// listNames is the names in a directory, in order.
func listNames(fsys FS, dir string) ([]string, error) {
	entries, err := fsys.ReadDir(dir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// OS is the real file system.
var OS FS = osFS{}

type osFS struct{}

func (osFS) Mkdir(dir string) error                    { return os.Mkdir(dir, 0o755) }
func (osFS) MkdirAll(dir string) error                 { return os.MkdirAll(dir, 0o755) }
func (osFS) ReadDir(dir string) ([]os.DirEntry, error) { return os.ReadDir(dir) }
func (osFS) Stat(path string) (os.FileInfo, error)     { return os.Lstat(path) }

func (osFS) Open(path string, access Access) (File, error) {
	f, err := os.OpenFile(path, [...]int{os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREATE}[access], 0o644)
	if err != nil {
		return nil, err
	}
	return &osFile{f, int(f.Fd())}, nil
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }
func (osFS) RemoveAll(path string) error  { return os.RemoveAll(path) }

func (osFS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (osFS) IsNamed(f File, path string) (bool, error) {
	named, err := os.Stat(path)
	if os.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	open, err := f.Stat()
	return err == nil && os.SameFile(named, open), err
}

type osFile struct {
	*os.File
	fd int
}

func (f *osFile) Fd() int {
	if f.fd < 0 {
		panic("segment: the descriptor of a closed file is used: " + f.Name())
	}
	return f.fd
}

// Close forgets the number too: by then it may be another file's.
func (f *osFile) Close() error {
	f.fd = -1
	return f.File.Close()
}

// WriteAt is pwritev(2). It continues a short write, which gives it the error.
func (f *osFile) WriteAt(pieces [][]byte, offset int64) (int, error) {
	for wrote, skip := 0, 0; ; {
		for len(pieces) > 0 && skip >= len(pieces[0]) {
			skip -= len(pieces[0])
			pieces = pieces[1:]
		}
		if len(pieces) == 0 {
			return wrote, nil
		}
		n, err := pwritev(f.fd, pieces, skip, offset+int64(wrote))
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return wrote, &os.PathError{Op: "pwritev", Path: f.Name(), Err: err}
		}
		wrote, skip = wrote+n, skip+n
	}
}

// pwritev writes the first pieces, without the first skip bytes. It allocates nothing.
func pwritev(fd int, pieces [][]byte, skip int, offset int64) (int, error) {
	var vector [maxWritePieces]unix.Iovec
	n := min(len(pieces), len(vector))
	for i, piece := range pieces[:n] {
		piece = piece[skip:]
		vector[i].Base, skip = unsafe.SliceData(piece), 0
		vector[i].SetLen(len(piece))
	}
	wrote, _, errno := unix.Syscall6(unix.SYS_PWRITEV, uintptr(fd), uintptr(unsafe.Pointer(&vector)), uintptr(n),
		uintptr(offset), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(wrote), nil
}

// Map is mmap(2).
func (f *osFile) Map(n int) ([]byte, error) {
	return unix.Mmap(f.fd, 0, n, unix.PROT_READ, unix.MAP_SHARED)
}

// Unmap is munmap(2).
func (osFS) Unmap(mapped []byte) { _ = unix.Munmap(mapped) }

// DropCache is posix_fadvise(2): advice, which the kernel may ignore.
func (f *osFile) DropCache() { _ = unix.Fadvise(f.fd, 0, 0, unix.FADV_DONTNEED) }

// The files of a segment and of a partition.
const (
	logSuffix       = ".log"
	indexSuffix     = ".index"
	timeIndexSuffix = ".timeindex"
	txnIndexSuffix  = ".txnindex"
	snapshotSuffix  = ".snapshot"
)

// segmentPath is the path of a segment's file: its base offset with 20 digits.
func segmentPath(dir string, base int64) string { return filePath(dir, base, logSuffix) }

// filePath is the path of a file that is named after an offset.
func filePath(dir string, offset int64, suffix string) string {
	return filepath.Join(dir, fmt.Sprintf("%020d%s", offset, suffix))
}

// beside is the path of another file of the segment with that path.
func beside(path, suffix string) string { return strings.TrimSuffix(path, logSuffix) + suffix }

// parseName is the inverse of filePath, for a name without its directory.
func parseName(name, suffix string) (offset int64, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	n, err := strconv.ParseUint(digits, 10, 63)
	return int64(n), ok && len(digits) == 20 && err == nil
}
