package segment

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ReadResident is preadv2(2) with RWF_NOWAIT (Linux 4.14). Since Linux 5.9 it begins to read what it does not find.
//
// tmpfs, ramfs and overlayfs do not know the flag. There [residentBytes] is asked first, and the read that follows finds
// the pages where they were, unless they were evicted in between.
func (f *osFile) ReadResident(b []byte, offset int64) int {
	if len(b) == 0 {
		return 0
	}
	vector := unix.Iovec{Base: unsafe.SliceData(b)}
	vector.SetLen(len(b))
	n, _, errno := unix.Syscall6(unix.SYS_PREADV2, uintptr(f.fd), uintptr(unsafe.Pointer(&vector)), 1,
		uintptr(offset), 0, unix.RWF_NOWAIT)
	switch errno {
	case 0:
		return int(n)
	case unix.EOPNOTSUPP:
		got, err := unix.Pread(f.fd, b[:residentBytes(f.fd, offset, len(b))], offset)
		if err == nil {
			return got
		}
	}
	return 0
}

// residentPages is how many pages one question is about: more than the reads of a log touch.
const residentPages = 16

// residentBytes is how many of the n bytes from offset on are in the page cache, counted up to the first page that is
// not. It never waits for a disk.
//
// Where all are there, one cachestat(2) says so (Linux 6.5): on tmpfs, that is, unless they are swapped out. Of an
// overlay it looks at the overlay's own file, which never has any pages, so mincore(2) has the last word.
func residentBytes(fd int, offset int64, n int) int {
	page := int64(unix.Getpagesize())
	skip := offset % page
	length := min(skip+int64(n), residentPages*page)
	var st unix.Cachestat_t
	err := unix.Cachestat(uint(fd), &unix.CachestatRange{Off: uint64(offset - skip), Len: uint64(length)}, &st, 0)
	if err == nil && int64(st.Cache) >= (length+page-1)/page {
		return int(length - skip)
	}
	return mappedBytes(fd, offset-skip, skip, length)
}

// mappedBytes is residentBytes by mincore(2), on a mapping that lives for the question: that of a file of an overlay is
// of the file below it. It costs five times as much, and is 0 where a file cannot be mapped. Since Linux 5.2 mincore
// says yes to everybody who neither owns the file nor may write to it: a server that opened its log may.
func mappedBytes(fd int, from, skip, length int64) int {
	page := int64(unix.Getpagesize())
	at, err := unix.MmapPtr(fd, from, nil, uintptr(length), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return 0
	}
	var in [residentPages]byte
	_, _, errno := unix.RawSyscall(unix.SYS_MINCORE, uintptr(at), uintptr(length), uintptr(unsafe.Pointer(&in)))
	_ = unix.MunmapPtr(at, uintptr(length))
	if errno != 0 {
		return 0
	}
	resident := int64(0)
	for i := int64(0); i*page < length && in[i]&1 != 0; i++ {
		resident = min(length, (i+1)*page)
	}
	return int(max(resident-skip, 0))
}
