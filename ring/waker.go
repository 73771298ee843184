package ring

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// waker is an eventfd that any goroutine may write to, also while it is closed and afterwards: by then the number may be
// another file's, so every write holds the lock.
type waker struct {
	mu sync.RWMutex
	fd int // -1 when it is closed
}

func newWaker() (*waker, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("ring: eventfd: %w", err)
	}
	return &waker{fd: fd}, nil
}

// wake makes the eventfd readable. After close it does nothing.
func (w *waker) wake() {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.fd >= 0 {
		one := [8]byte{1}
		_, _ = unix.Write(w.fd, one[:])
	}
}

func (w *waker) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		_ = unix.Close(w.fd)
		w.fd = -1
	}
}
