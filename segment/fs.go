package segment

import (
	"os"
	"path/filepath"
	"strings"
)

// File is an open segment file.
type File interface {
	// Fd is the descriptor, for splice, sendfile and mmap.
	Fd() int
	ReadAt(b []byte, offset int64) (int, error)
	WriteAt(b []byte, offset int64) (int, error)
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// FS is the file system as a log uses it, so that a test can let each of its operations fail.
type FS interface {
	MkdirAll(dir string) error
	// Open opens a file for reading and writing, and makes it if create is set.
	Open(path string, create bool) (File, error)
	// List is the names in a directory.
	List(dir string) ([]string, error)
	Rename(from, to string) error
	RemoveAll(path string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
}

// OS is the real file system.
var OS FS = osFS{}

type osFS struct{}

func (osFS) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o755) }

func (osFS) Open(path string, create bool) (File, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if err != nil {
		return nil, err
	}
	return osFile{f, int(f.Fd())}, nil
}

func (osFS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }
func (osFS) RemoveAll(path string) error  { return os.RemoveAll(path) }

func (osFS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

type osFile struct {
	*os.File
	fd int
}

func (f osFile) Fd() int { return f.fd }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

const logSuffix = ".log"

// segmentPath is a segment's file name: its base offset with 20 digits.
func segmentPath(dir string, base int64) string {
	const digits = 20
	var name [digits]byte
	for i := digits - 1; i >= 0; i-- {
		name[i] = byte('0' + base%10)
		base /= 10
	}
	return filepath.Join(dir, string(name[:])+logSuffix)
}

// parseSegmentName is the inverse of segmentPath, for a name without its directory.
func parseSegmentName(name string) (base int64, ok bool) {
	digits, isLog := strings.CutSuffix(name, logSuffix)
	if !isLog || len(digits) != 20 {
		return 0, false
	}
	for _, d := range digits {
		if d < '0' || d > '9' || base > (1<<63-1-int64(d-'0'))/10 {
			return 0, false
		}
		base = base*10 + int64(d-'0')
	}
	return base, true
}
