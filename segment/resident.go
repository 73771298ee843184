package segment

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"oneplusn/segment/cachestat"
)

// ReadResident is preadv2(2) with RWF_NOWAIT (Linux 4.14). Since Linux 5.9 it starts readahead for what is missing.
//
// tmpfs, ramfs and overlayfs do not support the flag. There [residentBytes] comes first; the read that follows finds the pages
// unless they were evicted in between.
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

// residentPages bounds the pages of one question: more than the reads of a log touch.
const residentPages = 16

// residentBytes is the number of the n bytes from offset on that are in the page cache, up to the first page that is not. It
// never waits for a disk.
//
// If all are resident, one cachestat(2) says so (Linux 6.5), on tmpfs unless they are swapped out. On overlayfs it looks at the
// overlay's own file, which never has pages, so mincore(2) has the last word.
func residentBytes(fd int, offset int64, n int) int {
	page := int64(unix.Getpagesize())
	skip := offset % page
	length := min(skip+int64(n), residentPages*page)
	if cached, ok := cachestat.Pages(fd, offset-skip, length); ok && cached >= (length+page-1)/page {
		return int(length - skip)
	}
	return mappedBytes(fd, offset-skip, skip, length)
}

// mappedBytes is residentBytes by mincore(2), on a temporary mapping: overlayfs maps the file below. It costs five times as much,
// and is 0 if the file cannot be mapped. Since Linux 5.2 mincore reports every page as resident to processes that neither own
// the file nor may write to it; a server may write to its log.
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
