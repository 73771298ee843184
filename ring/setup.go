package ring

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/pawelgaczynski/giouring"
)

const (
	// MaxEntries is the kernel's largest submission queue (IORING_MAX_ENTRIES).
	MaxEntries = 32768
	// MaxCompletionEntries is the kernel's largest completion queue (IORING_MAX_CQ_ENTRIES).
	MaxCompletionEntries = 2 * MaxEntries
	// MaxWorkers bounds [Config.Workers].
	MaxWorkers = 1 << 16
	// MaxRecvBuffers is the most provided buffers: giouring computes a buffer's place in 16 bits.
	MaxRecvBuffers = 4096
	// MinBoundedWorkers are kept for fsync, the only work of the bounded class.
	MinBoundedWorkers = 2
)

// Config sizes a [Ring].
type Config struct {
	// Entries is the size of the submission queue, rounded up to a power of two; 1 to [MaxEntries].
	Entries int
	// CompletionEntries is the size of the completion queue, rounded up to a power of two; at least Entries and at
	// most [MaxCompletionEntries]. 0 means four times Entries.
	CompletionEntries int
	// Workers caps the kernel's worker threads for splices. Without a cap the kernel starts one thread per splice
	// that waits. 0 means one per CPU, and at least two: workers that outnumber the CPUs take turns on them, and on two
	// CPUs four workers were measured to need a third more CPU per GB than two.
	Workers int
	// RecvBuffers and RecvBufferBytes size the provided buffers, shared by all sockets. RecvBuffers is a power of two,
	// at most [MaxRecvBuffers].
	RecvBuffers     int
	RecvBufferBytes int
}

// RoundEntries rounds a ring size up to the power of two that the kernel will use, and refuses sizes it would refuse.
func RoundEntries(n int) (int, error) {
	if n < 1 || n > MaxEntries {
		return 0, fmt.Errorf("ring: a ring of %d entries was asked for, the kernel allows 1 to %d", n, MaxEntries)
	}
	return 1 << bits.Len(uint(n-1)), nil
}

func (c Config) withDefaults() (Config, error) {
	var err error
	if c.Entries, err = RoundEntries(c.Entries); err != nil {
		return c, err
	}
	c.CompletionEntries = cmp.Or(c.CompletionEntries, min(4*c.Entries, MaxCompletionEntries))
	if c.CompletionEntries < c.Entries || c.CompletionEntries > MaxCompletionEntries {
		return c, fmt.Errorf("ring: a completion queue of %d entries was asked for, allowed are %d (the ring size) to %d",
			c.CompletionEntries, c.Entries, MaxCompletionEntries)
	}
	c.CompletionEntries = 1 << bits.Len(uint(c.CompletionEntries-1))
	c.Workers = cmp.Or(c.Workers, max(2, runtime.NumCPU()))
	if c.Workers < 1 || c.Workers > MaxWorkers {
		return c, fmt.Errorf("ring: %d workers were asked for, allowed are 1 to %d", c.Workers, MaxWorkers)
	}
	if n := c.RecvBuffers; n < 1 || n > MaxRecvBuffers || n&(n-1) != 0 {
		return c, fmt.Errorf("ring: %d receive buffers were asked for, allowed are powers of two up to %d", n, MaxRecvBuffers)
	}
	if c.RecvBufferBytes < 256 || c.RecvBufferBytes > 1<<20 {
		return c, fmt.Errorf("ring: receive buffers of %d bytes were asked for, allowed are 256 to %d", c.RecvBufferBytes, 1<<20)
	}
	return c, nil
}

// SetupFlags are those of the loop's ring: work runs only when the loop enters the kernel to wait (DEFER_TASKRUN, 6.1), one
// bad entry does not stop the ones behind it (SUBMIT_ALL), and the kernel may drop its own locking (SINGLE_ISSUER).
const SetupFlags = giouring.SetupSingleIssuer | giouring.SetupDeferTaskrun | giouring.SetupSubmitAll |
	giouring.SetupCQSize

// uringParams is struct io_uring_params as far as it is set here. giouring keeps the fields of its own type private, so
// a completion queue size can't be asked for except through the memory.
type uringParams struct {
	sqEntries, cqEntries, flags uint32
	rest                        [27]uint32
}

func setup(c Config) (*giouring.Ring, error) {
	params := new(giouring.Params)
	if unsafe.Sizeof(*params) != unsafe.Sizeof(uringParams{}) {
		return nil, fmt.Errorf("ring: giouring's Params has %d bytes, %d expected: not the pinned version",
			unsafe.Sizeof(*params), unsafe.Sizeof(uringParams{}))
	}
	raw := (*uringParams)(unsafe.Pointer(params))
	raw.cqEntries = uint32(c.CompletionEntries)
	raw.flags = SetupFlags
	gr := giouring.NewRing()
	if err := gr.QueueInitParams(uint32(c.Entries), params); err != nil {
		return nil, setupError(err)
	}
	if _, err := gr.RegisterRingFd(); err != nil {
		gr.QueueExit()
		return nil, fmt.Errorf("ring: registering the ring's descriptor: %w", err)
	}
	return gr, nil
}

// The errors of making a ring, each with its own remedy.
var (
	ErrNoIoUring  = errors.New("ring: this kernel has no io_uring (built without CONFIG_IO_URING, or before 5.1): run Linux 6.1 or later")
	ErrForbidden  = errors.New("ring: io_uring is forbidden here: see sysctl kernel.io_uring_disabled (0 allows it), or the container's seccomp profile must allow io_uring_setup, io_uring_enter and io_uring_register")
	ErrTooOld     = errors.New("ring: this kernel refuses SINGLE_ISSUER with DEFER_TASKRUN: run Linux 6.1 or later")
	ErrNoMemory   = errors.New("ring: the kernel has no memory for a ring of this size: choose a smaller ring, or raise RLIMIT_MEMLOCK")
	ErrWorkersCap = errors.New("ring: the cap on io_uring workers did not take")
)

func setupError(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSYS):
		return ErrNoIoUring
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return ErrForbidden
	case errors.Is(err, syscall.EINVAL):
		return ErrTooOld
	case errors.Is(err, syscall.ENOMEM):
		return ErrNoMemory
	}
	return fmt.Errorf("ring: io_uring_setup: %w", err)
}

// capWorkers sets the most worker threads per class and reads the setting back. giouring passes 64-bit numbers where
// the kernel reads two of 32, so both classes go into one: bounded low, unbounded high. Splices are unbounded work.
func capWorkers(gr *giouring.Ring, workers int) error {
	want := uint(MinBoundedWorkers) | uint(workers)<<32
	if _, err := gr.RegisterIOWQMaxWorkers([]uint{want}); err != nil {
		return fmt.Errorf("%w: %w", ErrWorkersCap, err)
	}
	now := []uint{0} // 0 changes nothing and returns what is set
	if _, err := gr.RegisterIOWQMaxWorkers(now); err != nil {
		return fmt.Errorf("%w: %w", ErrWorkersCap, err)
	}
	if now[0] != want {
		return fmt.Errorf("%w: asked for %d bounded and %d unbounded, the kernel says %d and %d",
			ErrWorkersCap, MinBoundedWorkers, workers, uint32(now[0]), now[0]>>32)
	}
	return nil
}

// ringLayout mirrors the head of giouring.Ring up to the registered descriptor's index, which it keeps private and
// whose release it gets wrong (its condition is inverted, so the slot leaks until the thread ends).
type ringLayout struct {
	sq, cq      unsafe.Pointer
	flags       uint32
	ringFd      int
	features    uint32
	enterRingFd int
}

func unregisterRingFd(gr *giouring.Ring) error {
	layout := (*ringLayout)(unsafe.Pointer(gr))
	if layout.ringFd != gr.RingFd() {
		return errors.New("ring: giouring.Ring is laid out differently: not the pinned version")
	}
	update := &giouring.RsrcUpdate{Offset: uint32(layout.enterRingFd)}
	_, errno := gr.Register(gr.RingFd(), giouring.UnregisterRingFDs, unsafe.Pointer(update), 1)
	runtime.KeepAlive(update)
	if errno != 0 {
		return fmt.Errorf("ring: unregistering the ring's descriptor: %w", errno)
	}
	return nil
}
