package sim

import "oneplusn/segment/disk"

// fileSystem is the disk as a program uses it.
type fileSystem struct {
	*Disk
	kernel *Kernel
}

var _ disk.FS = fileSystem{}

// FileSystem is the machine's disk for this program.
func (k *Kernel) FileSystem() disk.FS { return fileSystem{k.machine.disk, k} }

// Open implements [disk.FS].
func (s fileSystem) Open(path string, access disk.Access) (disk.File, error) {
	f, err := s.kernel.Open(path, access == disk.ReadOnly, access == disk.Create)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// IsNamed implements [disk.FS].
func (s fileSystem) IsNamed(f disk.File, path string) (bool, error) { return f.(*File).SameAs(path) }

// Unmap implements [disk.FS]. A file keeps its memory.
func (s fileSystem) Unmap([]byte) {}

// Lock implements [disk.FS]. There is one program.
func (s fileSystem) Lock(path string) (unlock func(), err error) {
	f, err := s.kernel.Open(path, false, true)
	if err != nil {
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
