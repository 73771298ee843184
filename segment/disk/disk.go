// Package disk says what logs and their data directory need of a file system. Package segment has the real one, a simulation another.
package disk

import (
	"errors"
	"os"
)

// ErrLocked: another process uses the data directory.
var ErrLocked = errors.New("another process holds the lock: stop that server, or choose another directory")

// File is an open file.
type File interface {
	// Fd is the descriptor, for splice, sendfile and mmap.
	Fd() int
	ReadAt(b []byte, offset int64) (int, error)
	// ReadResident reads up to the first page that is not in the page cache, and never waits for a disk. It may read less
	// of a request for many pages.
	ReadResident(b []byte, offset int64) int
	// WriteAt writes pieces one behind the other, up to 128 with one system call. A short write has an error.
	WriteAt(pieces [][]byte, offset int64) (int, error)
	// Stat has the size, and the time of the last write.
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
	Sync() error
	// DropCache drops clean unused pages from the page cache, including those of a failed sync, which the kernel marks clean:
	// the next read comes from the disk.
	DropCache()
	// Map maps the first n bytes, which may lie behind the end, to be read, until [FS.Unmap].
	Map(n int) ([]byte, error)
	Close() error
}

// FS is the file system as logs and their data directory use it; tests let each of its operations fail.
type FS interface {
	// Mkdir makes a directory that does not exist.
	Mkdir(dir string) error
	MkdirAll(dir string) error
	Open(path string, access Access) (File, error)
	// ReadDir is in the order of names.
	ReadDir(dir string) ([]os.DirEntry, error)
	// Stat does not follow a symbolic link.
	Stat(path string) (os.FileInfo, error)
	Rename(from, to string) error
	RemoveAll(path string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	// IsNamed reports whether path still names that very file.
	IsNamed(f File, path string) (bool, error)
	// Unmap ends a mapping of a file.
	Unmap(mapped []byte)
	// Lock reserves a file for this process until unlock or its end. The error is [ErrLocked] if another process has it.
	Lock(path string) (unlock func(), err error)
}

// Access is the mode of an opened file.
type Access uint8

// The kinds of access. Create makes a missing file, and keeps the content of an existing one.
const (
	ReadOnly Access = iota
	ReadWrite
	Create
)
