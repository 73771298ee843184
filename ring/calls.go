package ring

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OpenPipe implements [Kernel]. The capacity falls back to what F_SETPIPE_SZ allows: an unprivileged user has
// fs.pipe-max-size per pipe and fs.pipe-user-pages-soft for all of them together.
func (r *Ring) OpenPipe(wantBytes int) (Pipe, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return Pipe{}, fmt.Errorf("ring: pipe2: %w", err)
	}
	got, err := unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, wantBytes)
	if err != nil {
		if got, err = unix.FcntlInt(uintptr(ends[1]), unix.F_GETPIPE_SZ, 0); err != nil {
			_ = unix.Close(ends[0])
			_ = unix.Close(ends[1])
			return Pipe{}, fmt.Errorf("ring: asking for the size of a pipe: %w", err)
		}
	}
	return Pipe{R: ends[0], W: ends[1], Slots: got / unix.Getpagesize()}, nil
}

// ClosePipe implements [Kernel].
func (r *Ring) ClosePipe(p Pipe) {
	_ = unix.Close(p.R)
	_ = unix.Close(p.W)
}

// Sendfile implements [Kernel].
func (r *Ring) Sendfile(socket, file int, offset int64, n int) int {
	for {
		sent, err := unix.Sendfile(socket, file, &offset, n)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			if errno, ok := err.(unix.Errno); ok {
				return -int(errno)
			}
			return -int(unix.EIO)
		}
		return sent
	}
}

// cachestatNumber is the system call's number on every architecture (Linux 6.5).
const cachestatNumber = 451

type cachestatRange struct{ off, len uint64 }

type cachestat struct {
	cache, dirty, writeback, evicted, recentlyEvicted uint64
}

// Resident implements [Kernel].
func (r *Ring) Resident(file int, offset, n int64) bool {
	cached, ok := CachedPages(file, offset, n)
	if !ok {
		return false
	}
	page := int64(unix.Getpagesize())
	return cached >= (offset+n+page-1)/page-offset/page
}

// Absent implements [Kernel].
func (r *Ring) Absent(file int, offset, n int64) bool {
	cached, ok := CachedPages(file, offset, n)
	return ok && cached == 0
}

// CachedPages counts the pages of a range of a file that are in the page cache, by cachestat(2). ok is false where the
// kernel does not have it or the file system does not support it. It never waits for a disk.
func CachedPages(file int, offset, n int64) (pages int64, ok bool) {
	rng := cachestatRange{off: uint64(offset), len: uint64(n)}
	var st cachestat
	_, _, errno := unix.RawSyscall6(cachestatNumber, uintptr(file),
		uintptr(unsafe.Pointer(&rng)), uintptr(unsafe.Pointer(&st)), 0, 0, 0)
	return int64(st.cache), errno == 0
}

// Shutdown implements [Kernel].
func (r *Ring) Shutdown(socket int) { _ = unix.Shutdown(socket, unix.SHUT_RDWR) }

// CloseFD implements [Kernel].
func (r *Ring) CloseFD(fd int) { _ = unix.Close(fd) }
