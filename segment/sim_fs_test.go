package segment

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// simFS is a file system in memory that can fail, and can lose its power.
//
// The fault model: an operation that is chosen fails, a write after some of its bytes, and so do some syncs. At a power
// loss the names are as after some prefix of the operations on them since the last sync of a directory, as journalling
// file systems leave them; of each file every page since its last sync is there or not, whatever the others are, and so
// is its size.
//
// When a sync fails, each of its pages is written, or stays dirty, or is lost: the kernel takes it for clean (fsync(2),
// "ERRORS"), so no later sync writes it, and reads return the page until it is evicted, and the disk's content from then
// on. One case is left out: a process does not die between a failed sync and writing its mark.
type simFS struct {
	rng     *rand.Rand
	names   map[string]*simInode
	durable map[string]*simInode
	journal []func(map[string]*simInode)
	dirs    map[string]bool

	ops    int
	failAt int   // the operation that fails, -1 for none
	failAs error // what it fails with
	dead   bool  // with crash: everything fails from failAt on
	crash  bool
	failed string
	// cold is the share of reads that find no resident page, badSyncs of syncs that fail, of 100.
	cold, badSyncs int
	resident       func(path string, offset int64, n int) int // in place of cold
	badFile        string                                     // its next sync fails, and those after that do not
	lostPages      int                                        // how many there ever were
	// open counts descriptors.
	open int
	// nowMillis is the time that files are changed at.
	nowMillis int64
}

func newSimFS(rng *rand.Rand) *simFS {
	return &simFS{rng: rng, names: map[string]*simInode{}, durable: map[string]*simInode{}, dirs: map[string]bool{}, failAt: -1}
}

var errPowerLost = errors.New("the power is gone")

func (s *simFS) step(op string) error {
	if s.dead {
		return errPowerLost
	}
	n := s.ops
	s.ops++
	if n != s.failAt {
		return nil
	}
	s.failed = op
	if s.crash {
		s.dead = true
		return errPowerLost
	}
	return s.failAs
}

func (s *simFS) rename(apply func(map[string]*simInode)) {
	apply(s.names)
	s.journal = append(s.journal, apply)
}

func (s *simFS) MkdirAll(dir string) error {
	if err := s.step("mkdir"); err != nil {
		return err
	}
	s.dirs[dir] = true
	return nil
}

func (s *simFS) Open(path string, access Access) (File, error) {
	if err := s.step("open " + path); err != nil {
		return nil, err
	}
	inode := s.names[path]
	if inode == nil {
		if access != Create {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		inode = new(simInode)
		s.rename(func(m map[string]*simInode) { m[path] = inode })
	}
	s.open++
	return &simFile{fs: s, path: path, inode: inode, readOnly: access == ReadOnly}, nil
}

func (s *simFS) Mkdir(dir string) error { return s.MkdirAll(dir) }

func (s *simFS) Lock(string) (func(), error) { return func() {}, nil }

func (s *simFS) Stat(path string) (fs.FileInfo, error) {
	f, err := s.Open(path, ReadOnly)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return f.Stat()
}

func (s *simFS) ReadDir(dir string) (entries []fs.DirEntry, err error) {
	if err := s.step("list"); err != nil {
		return nil, err
	}
	if !s.dirs[dir] {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: fs.ErrNotExist}
	}
	for path := range s.names {
		if filepath.Dir(path) == dir {
			entries = append(entries, fs.FileInfoToDirEntry(simInfo{name: filepath.Base(path)}))
		}
	}
	return entries, nil
}

func (s *simFS) Rename(from, to string) error {
	if err := s.step("rename " + to); err != nil {
		return err
	}
	if s.names[from] == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	s.rename(func(m map[string]*simInode) {
		if inode := m[from]; inode != nil {
			m[to] = inode
			delete(m, from)
		}
	})
	return nil
}

func (s *simFS) RemoveAll(path string) error {
	if err := s.step("remove " + path); err != nil {
		return err
	}
	s.rename(func(m map[string]*simInode) { delete(m, path) })
	return nil
}

func (s *simFS) SyncDir(dir string) error {
	if err := s.step("syncdir"); err != nil {
		return err
	}
	for _, apply := range s.journal {
		apply(s.durable)
	}
	s.journal = nil
	return nil
}

func (s *simFS) IsNamed(f File, path string) (bool, error) {
	if err := s.step("stat " + path); err != nil {
		return false, err
	}
	return s.names[path] == f.(*simFile).inode, nil
}

// restart is a copy of the file system after the process died: what was not synced is still not on the disk, and nothing
// fails any more.
func (s *simFS) restart() *simFS {
	after := newSimFS(s.rng)
	after.dirs, after.nowMillis = s.dirs, s.nowMillis
	copies := make(map[*simInode]*simInode)
	for _, names := range []map[string]*simInode{s.names, s.durable} {
		for _, inode := range names {
			copies[inode] = &simInode{data: bytes.Clone(inode.data), synced: bytes.Clone(inode.synced), lost: maps.Clone(inode.lost),
				modified: inode.modified}
		}
	}
	for path, inode := range s.names {
		after.names[path] = copies[inode]
		after.names[path].evict(s.rng.IntN(2) == 0, s.rng)
		// The operations since the last sync of a directory stay to be made durable, whatever they were.
		after.journal = append(after.journal, func(m map[string]*simInode) { m[path] = copies[inode] })
	}
	for path, inode := range s.durable {
		after.durable[path] = copies[inode]
		if s.names[path] == nil {
			after.journal = append(after.journal, func(m map[string]*simInode) { delete(m, path) })
		}
	}
	return after
}

// revive is the same file system after the process died, which evicts nothing, but time passes.
func (s *simFS) revive() *simFS {
	for _, path := range slices.Sorted(maps.Keys(s.names)) {
		s.names[path].evict(s.rng.IntN(2) == 0 || s.dead && !s.marked(path), s.rng)
	}
	s.dead, s.crash, s.failAt, s.failed = false, false, -1, ""
	return s
}

// marked says that the directory of a file has the mark of a failed sync.
func (s *simFS) marked(path string) bool {
	return s.names[filepath.Join(filepath.Dir(path), failedSyncFile)] != nil
}

// powerLoss returns the content of the disk after a loss of power.
func (s *simFS) powerLoss() *simFS {
	after := newSimFS(s.rng)
	after.dirs, after.nowMillis = s.dirs, s.nowMillis
	survived := make(map[string]*simInode)
	for path, inode := range s.durable {
		survived[path] = inode
	}
	for _, apply := range s.journal[:s.rng.IntN(len(s.journal)+1)] {
		apply(survived)
	}
	for path, inode := range survived {
		data := inode.lose(s.rng)
		after.names[path] = &simInode{data: data, synced: append([]byte(nil), data...), modified: inode.modified}
		after.durable[path] = after.names[path]
	}
	return after
}

type simFile struct {
	fs       *simFS
	path     string
	inode    *simInode
	readOnly bool
	closed   bool
}

func (f *simFile) Fd() int { return -1 }

func (f *simFile) ReadAt(b []byte, offset int64) (int, error) {
	if err := f.fs.step("read " + f.path); err != nil {
		return 0, err
	}
	return f.read(b, offset)
}

func (f *simFile) read(b []byte, offset int64) (int, error) {
	if f.closed {
		return 0, fs.ErrClosed
	}
	if offset >= int64(len(f.inode.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.inode.data[offset:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *simFile) ReadResident(b []byte, offset int64) int {
	if f.fs.resident != nil {
		b = b[:f.fs.resident(f.path, offset, len(b))]
	}
	if f.fs.cold > 0 && f.fs.rng.IntN(100) < f.fs.cold {
		return f.fs.rng.IntN(2) * min(len(b), 10)
	}
	n, _ := f.read(b, offset)
	return n
}

func (f *simFile) WriteAt(pieces [][]byte, offset int64) (int, error) {
	b := bytes.Join(pieces, nil)
	if f.readOnly || f.closed {
		return 0, fs.ErrPermission
	}
	err := f.fs.step("write " + f.path)
	if err != nil {
		b = b[:f.fs.rng.IntN(len(b)+1)]
	}
	if need := int(offset) + len(b); need > len(f.inode.data) {
		f.inode.data = append(f.inode.data, make([]byte, need-len(f.inode.data))...)
	}
	f.inode.touch(int(offset), int(offset)+len(b))
	f.inode.modified = f.fs.nowMillis
	return copy(f.inode.data[offset:], b), err
}

func (f *simFile) Stat() (os.FileInfo, error) {
	if err := f.fs.step("stat " + f.path); err != nil {
		return nil, err
	}
	return simInfo{size: int64(len(f.inode.data)), modified: time.UnixMilli(f.inode.modified)}, nil
}

// simInfo has what a log asks for.
type simInfo struct {
	name string
	os.FileInfo
	size     int64
	modified time.Time
}

func (i simInfo) Name() string       { return i.name }
func (i simInfo) IsDir() bool        { return false }
func (i simInfo) Mode() os.FileMode  { return 0o644 }
func (i simInfo) Size() int64        { return i.size }
func (i simInfo) ModTime() time.Time { return i.modified }

func (f *simFile) Truncate(size int64) error {
	if f.readOnly {
		return fs.ErrPermission
	}
	if err := f.fs.step("truncate " + f.path); err != nil {
		return err
	}
	f.inode.touch(int(size), max(int(size), len(f.inode.data)))
	if int(size) < len(f.inode.data) {
		f.inode.data = f.inode.data[:size:size]
		return nil
	}
	f.inode.data = append(f.inode.data, make([]byte, int(size)-len(f.inode.data))...)
	return nil
}

// Sync makes the content durable. One that fails leaves the content where only the disk or a power loss shows that it is
// not.
func (f *simFile) Sync() error {
	err := f.fs.step("sync " + f.path)
	if err == nil && (f.path == f.fs.badFile || f.fs.rng.IntN(100) < f.fs.badSyncs) {
		err = syscall.EIO
	}
	if f.path == f.fs.badFile {
		f.fs.badFile = ""
	}
	switch {
	case err == nil:
		f.inode.sync()
	case !f.fs.dead:
		f.fs.lostPages += f.inode.failSync(f.fs.rng)
	}
	return err
}

func (f *simFile) DropCache() { f.inode.evict(true, f.fs.rng) }

func (f *simFile) Close() error {
	if f.closed {
		return fs.ErrClosed
	}
	f.closed = true
	f.fs.open--
	if strings.HasSuffix(f.path, temporarySuffix) {
		return f.fs.step("close " + f.path)
	}
	return nil
}

func (f *simFile) Map(n int) ([]byte, error) { return make([]byte, n), nil }

func (s *simFS) Unmap([]byte) {}
