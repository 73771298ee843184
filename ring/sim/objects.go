package sim

import "slices"

// file is the file that a descriptor names. It reports a descriptor that names none, and returns nil.
func (k *Kernel) file(fd int) *File {
	f, ok := k.objects[fd].(*File)
	if !ok {
		k.violate("descriptor %d is used as a file and is no open one", fd)
	}
	return f
}

// Resident implements [ring.Kernel].
func (k *Kernel) Resident(file int, offset, n int64) bool {
	f := k.file(file)
	return f != nil && f.inode.resident(offset, n)
}

// Absent implements [ring.Kernel].
func (k *Kernel) Absent(file int, offset, n int64) bool {
	f := k.file(file)
	return f != nil && !slices.Contains(f.inode.pages(offset, n), true)
}

// CloseFD implements [ring.Kernel].
func (k *Kernel) CloseFD(fd int) {
	if _, open := k.objects[fd]; !open {
		k.violate("descriptor %d is closed and is not open", fd)
	}
	for _, o := range k.pending {
		if int(o.FD) == fd {
			k.violate("descriptor %d is closed while %v uses it", fd, o.Token)
		}
	}
	switch o := k.objects[fd].(type) {
	case *Socket:
		o.close()
	case *listener:
		if fd == o.fd {
			o.close()
		}
	}
	delete(k.objects, fd)
}
