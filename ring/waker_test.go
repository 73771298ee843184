package ring

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Waking a ring during or after its close never writes into another file that got the eventfd's number.
func TestWakeAfterCloseWritesIntoNobodysFile(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for range 20 {
		r, err := New(testConfig(4))
		if err != nil {
			t.Fatal(err)
		}
		number := r.waker.fd
		var (
			stop atomic.Bool
			wait sync.WaitGroup
		)
		for range 4 {
			wait.Go(func() {
				for !stop.Load() {
					r.Wake()
				}
			})
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		var pipe [2]int
		if err := unix.Pipe2(pipe[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		// Both ends are moved out of the way, and then the end that is written to gets the number.
		for i := range pipe {
			high, err := unix.FcntlInt(uintptr(pipe[i]), unix.F_DUPFD_CLOEXEC, 500)
			if err != nil {
				t.Fatal(err)
			}
			_ = unix.Close(pipe[i])
			pipe[i] = high
		}
		if err := unix.Dup3(pipe[1], number, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			r.Wake()
		}
		stop.Store(true)
		wait.Wait()
		var b [8]byte
		if n, err := unix.Read(pipe[0], b[:]); err != unix.EAGAIN {
			t.Errorf("%d bytes %v were written to descriptor %d after the close, error %v", n, b, number, err)
		}
		_ = unix.Close(number)
		_ = unix.Close(pipe[0])
		_ = unix.Close(pipe[1])
	}
}
