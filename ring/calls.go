package ring

import (
	"fmt"

	"golang.org/x/sys/unix"

	"oneplusn/segment/cachestat"
)

// OpenPipe implements [Kernel].
func (r *Ring) OpenPipe(wantBytes int) (Pipe, error) { return OpenPipe(wantBytes) }

// OpenPipe makes a non-blocking pipe. The capacity falls back to what F_SETPIPE_SZ allows: an unprivileged user has
// fs.pipe-max-size per pipe and fs.pipe-user-pages-soft for all of them together.
func OpenPipe(wantBytes int) (Pipe, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return Pipe{}, fmt.Errorf("ring: pipe2: %w", err)
	}
	got, err := unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, wantBytes)
	if err != nil {
		if got, err = unix.FcntlInt(uintptr(ends[1]), unix.F_GETPIPE_SZ, 0); err != nil {
			Pipe{R: ends[0], W: ends[1]}.Close()
			return Pipe{}, fmt.Errorf("ring: asking for the size of a pipe: %w", err)
		}
	}
	return Pipe{R: ends[0], W: ends[1], Slots: got / unix.Getpagesize()}, nil
}

// ClosePipe implements [Kernel].
func (r *Ring) ClosePipe(p Pipe) { p.Close() }

// Close closes both ends.
func (p Pipe) Close() {
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
			return -int(err.(unix.Errno))
		}
		return sent
	}
}

// Resident implements [Kernel].
func (r *Ring) Resident(file int, offset, n int64) bool {
	assertRange(offset, n)
	cached, ok := cachestat.Pages(file, offset, n)
	page := int64(unix.Getpagesize())
	return ok && cached >= (offset+n+page-1)/page-offset/page
}

// Absent implements [Kernel].
func (r *Ring) Absent(file int, offset, n int64) bool {
	assertRange(offset, n)
	cached, ok := cachestat.Pages(file, offset, n)
	return ok && cached == 0
}

func assertRange(offset, n int64) {
	if offset < 0 || n < 1 {
		panic(fmt.Sprintf("ring: a question about %d bytes at %d of a file: of none, the kernel counts to the end of the file", n, offset))
	}
}

// Shutdown implements [Kernel].
func (r *Ring) Shutdown(socket int) { _ = unix.Shutdown(socket, unix.SHUT_RDWR) }

// CloseFD implements [Kernel].
func (r *Ring) CloseFD(fd int) { _ = unix.Close(fd) }
