package sim

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"syscall"

	"oneplusn/segment/mark"
)

// File is an open file of a [Kernel].
type File struct {
	kernel   *Kernel
	inode    *inode
	name     string
	fd       int // -1 when it is closed
	readOnly bool
}

// Open opens a file. create makes one that is missing.
func (k *Kernel) Open(name string, readOnly, create bool) (*File, error) {
	d := k.machine.disk
	if err := d.step("open", name); err != nil {
		return nil, err
	}
	n, ok := d.names[name]
	switch {
	case ok && n == nil:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	case !ok && !create:
		return nil, missing("open", name)
	case !ok:
		if dir, ok := d.names[path.Dir(name)]; !ok || dir != nil {
			return nil, missing("open", name)
		}
		if d.room() == 0 {
			return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOSPC}
		}
		n = d.newFile()
		d.change(change{kind: putName, name: name, inode: n})
	}
	return k.openInode(n, name, readOnly), nil
}

func (k *Kernel) openInode(n *inode, name string, readOnly bool) *File {
	f := &File{kernel: k, inode: n, name: name, readOnly: readOnly}
	f.fd = k.open(f)
	return f
}

// NewFile makes a file of random bytes, none of them in the page cache unless warm is set. It has no name.
func (k *Kernel) NewFile(size int, warm bool) (*File, error) {
	n := newInode(size, k.machine.disk.options.PageBytes)
	n.size = size
	for i := range size {
		n.content[i] = byte(k.machine.random.Uint32())
	}
	n.diskSize = copy(n.disk, n.content)
	for i := range n.warm {
		n.warm[i] = warm
	}
	k.machine.disk.keep(n)
	return k.openInode(n, "", true), nil
}

// Fd is the file's descriptor.
func (f *File) Fd() int {
	if f.fd < 0 {
		panic("sim: the descriptor of a closed file is used: " + f.name)
	}
	return f.fd
}

// Content is the file as a mapping of it, up to its end.
func (f *File) Content() []byte { return f.inode.content[:f.inode.size] }

// Map is a mapping of the first n bytes of the file, which may lie behind its end.
func (f *File) Map(n int) ([]byte, error) { return f.inode.content[:n:n], nil }

// Chill drops the file from the page cache.
func (f *File) Chill() { f.inode.evict(func() bool { return true }) }

// DropCache is posix_fadvise(2) with POSIX_FADV_DONTNEED for the whole file.
func (f *File) DropCache() { f.Chill() }

// SameAs says that a name is this very file's.
func (f *File) SameAs(name string) (bool, error) {
	if err := f.kernel.machine.disk.step("stat", name); err != nil {
		return false, err
	}
	n, ok := f.kernel.machine.disk.names[name]
	return ok && n == f.inode, nil
}

// begin begins an operation on the file, which may fail.
func (f *File) begin(op string, mayBlock bool) error {
	if err := f.check(op, mayBlock); err != nil {
		return err
	}
	return f.kernel.machine.disk.step(op, f.name)
}

// check wants the file open, and the operation on a thread where it may be done.
func (f *File) check(op string, mayBlock bool) error {
	if f.fd < 0 {
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrClosed}
	}
	if mayBlock {
		f.kernel.mayBlock(op, f.name)
	}
	return nil
}

// ReadAt is pread(2). It may wait for the disk.
func (f *File) ReadAt(b []byte, offset int64) (int, error) {
	if err := f.begin("read", true); err != nil {
		return 0, err
	}
	return f.read(b, offset)
}

func (f *File) read(b []byte, offset int64) (int, error) {
	if offset >= int64(f.inode.size) || len(b) == 0 {
		if len(b) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	want := min(len(b), f.inode.size-int(offset))
	n := copy(b[:f.inode.read(offset, int64(want))], f.Content()[offset:])
	if n < want {
		return n, &fs.PathError{Op: "read", Path: f.name, Err: syscall.EIO}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// ReadResident reads up to the first page that is not in the page cache.
func (f *File) ReadResident(b []byte, offset int64) int {
	if f.begin("read", false) != nil {
		return 0
	}
	if m := f.kernel.machine; m.oneIn(m.disk.options.ColdOneIn) {
		b = b[:m.random.IntN(2)*min(len(b), 10)]
	}
	n := 0
	for n < len(b) && offset+int64(n) < int64(f.inode.size) && f.inode.resident(offset+int64(n), 1) {
		page := f.inode.page - int(offset+int64(n))%f.inode.page
		n += copy(b[n:min(n+page, len(b))], f.Content()[offset+int64(n):])
	}
	return n
}

// WriteAt is pwritev(2). A write that fails may have written some of its bytes.
func (f *File) WriteAt(pieces [][]byte, offset int64) (int, error) {
	if f.readOnly {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: fs.ErrPermission}
	}
	m := f.kernel.machine
	dead := m.disk.faults.dead
	err := f.begin("write", !f.kernel.InlineWrites)
	if errors.Is(err, fs.ErrClosed) || dead {
		return 0, err
	}
	m.disk.gathered = m.disk.gathered[:0]
	for _, p := range pieces {
		m.disk.gathered = append(m.disk.gathered, p...)
	}
	b := m.disk.gathered
	if err == nil && f.inode.blocks(int(offset), len(b)) {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: syscall.EIO}
	}
	if err == nil {
		if room := m.disk.room(); room < int(offset)+len(b)-f.inode.size {
			mark.Hit("the disk was full")
			err = &fs.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
			b = b[:max(room-(int(offset)-f.inode.size), 0)]
		}
	}
	if err != nil {
		b = b[:m.random.IntN(len(b)+1)]
		mark.HitIf(len(b) > 0, "a write that failed had written some of its bytes")
	}
	f.inode.write(b, int(offset))
	f.inode.modified = m.now
	return len(b), err
}

// Stat has the size and the time of the last write.
func (f *File) Stat() (fs.FileInfo, error) {
	if err := f.begin("stat", false); err != nil {
		return nil, err
	}
	return info{path.Base(f.name), f.inode, int64(f.inode.size), f.kernel.machine.WallClock(f.inode.modified)}, nil
}

// Truncate is ftruncate(2).
func (f *File) Truncate(size int64) error {
	if f.readOnly {
		return &fs.PathError{Op: "truncate", Path: f.name, Err: fs.ErrPermission}
	}
	if err := f.begin("truncate", true); err != nil {
		return err
	}
	f.inode.truncate(int(size))
	return nil
}

// Sync is fsync(2). One that fails loses pages: see [inode].
func (f *File) Sync() error {
	if err := f.check("fsync", true); err != nil {
		return err
	}
	return f.kernel.machine.disk.sync(f.inode, f.name)
}

// room is how many bytes may be added to files.
func (d *Disk) room() int {
	if d.options.CapacityBytes == 0 {
		return 1 << 40
	}
	return max(d.options.CapacityBytes-d.used(), 0)
}

func (d *Disk) used() (n int) {
	for _, file := range d.names {
		if file != nil {
			n += file.size
		}
	}
	return n
}

// Close closes the descriptor. An error that it has of a file that was written to leaves it closed all the same.
func (f *File) Close() error {
	if f.fd < 0 {
		return &fs.PathError{Op: "close", Path: f.name, Err: fs.ErrClosed}
	}
	f.kernel.CloseFD(f.fd)
	f.fd = -1
	if f.readOnly {
		return nil
	}
	return f.kernel.machine.disk.step("close", f.name)
}
