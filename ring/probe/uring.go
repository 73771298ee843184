package probe

import (
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"oneplusn/ring"
)

// opcode is one operation as the kernel lists it.
type opcode struct {
	number uint8
	name   string
}

// neededOpcodes are those that the ring submits.
func neededOpcodes() (needed []opcode) {
	for _, o := range ring.Opcodes() {
		number, name := o.Kernel()
		if op := (opcode{number, name}); !slices.Contains(needed, op) {
			needed = append(needed, op)
		}
	}
	return needed
}

// The operations of io_uring_register(2) that are used here (linux/io_uring.h).
const (
	registerProbe         = 8  // IORING_REGISTER_PROBE, 5.6
	registerMaxWorkers    = 19 // IORING_REGISTER_IOWQ_MAX_WORKERS, 5.15
	registerBufferRing    = 22 // IORING_REGISTER_PBUF_RING, 5.19
	probeEntries          = 8
	probeCQEntries        = 32
	opcodeSupported       = 1 << 0 // IO_URING_OP_SUPPORTED
	bufferRingTestEntries = 8
)

// setupParams is struct io_uring_params as far as it is set here.
type setupParams struct {
	_, cqEntries, flags uint32
	_                   [27]uint32
}

// setupRing makes a ring that is never mapped: its descriptor is enough to register with.
func setupRing(flags uint32) (fd int, errno syscall.Errno) {
	params := setupParams{flags: flags, cqEntries: probeCQEntries} // the kernel looks at it if the flags say so
	r, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, probeEntries, uintptr(unsafe.Pointer(&params)), 0)
	if errno != 0 {
		return -1, errno
	}
	unix.CloseOnExec(int(r)) // the kernel sets it too
	return int(r), 0
}

func registerRing(fd int, op uintptr, arg unsafe.Pointer, n uintptr) syscall.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), op, uintptr(arg), n, 0, 0)
	runtime.KeepAlive(arg)
	return errno
}

// probeSetupFlags tries the flags that the loop's ring is made with.
func probeSetupFlags() Check {
	fd, errno := setupRing(ring.SetupFlags)
	if errno == 0 {
		_ = unix.Close(fd)
	}
	return classifySetupFlags(errno)
}

// opcodeProbe is struct io_uring_probe with room for every number an opcode can have.
type opcodeProbe struct {
	lastOp, length uint8
	_              uint16
	_              [3]uint32
	ops            [256]struct {
		op, _ uint8
		flags uint16
		_     uint32
	}
}

func supportedOpcodes(fd int) (map[uint8]bool, syscall.Errno) {
	var probe opcodeProbe
	if errno := registerRing(fd, registerProbe, unsafe.Pointer(&probe), uintptr(len(probe.ops))); errno != 0 {
		return nil, errno
	}
	supported := make(map[uint8]bool)
	for _, op := range probe.ops[:probe.length] {
		if op.flags&opcodeSupported != 0 {
			supported[op.op] = true
		}
	}
	return supported, 0
}

// capWorkers caps the unbounded workers, the class of splices, and returns what the kernel says is set.
func capWorkers(fd int) (set int, errno syscall.Errno) {
	caps := [2]uint32{ring.MinBoundedWorkers, workers}
	if errno = registerRing(fd, registerMaxWorkers, unsafe.Pointer(&caps), 2); errno != 0 {
		return 0, errno
	}
	caps = [2]uint32{} // zeros change nothing and are replaced by what is set
	if errno = registerRing(fd, registerMaxWorkers, unsafe.Pointer(&caps), 2); errno != 0 {
		return 0, errno
	}
	return int(caps[1]), 0
}

// bufferRingRegistration is struct io_uring_buf_reg.
type bufferRingRegistration struct {
	address uint64
	entries uint32
	group   uint16
	flags   uint16
	_       [3]uint64
}

// probeBufferRing registers a ring of provided buffers, which multishot recv takes its memory from.
func probeBufferRing(fd int) Check {
	memory, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return classifyBufferRing(unix.ENOMEM)
	}
	registration := bufferRingRegistration{
		address: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(memory)))),
		entries: bufferRingTestEntries,
	}
	errno := registerRing(fd, registerBufferRing, unsafe.Pointer(&registration), 1)
	_ = unix.Munmap(memory) // the kernel holds its own reference to the page until the ring is closed
	return classifyBufferRing(errno)
}

func classifyBufferRing(errno syscall.Errno) Check {
	c := Check{Name: "buffer ring", Found: "registered", Need: "IORING_REGISTER_PBUF_RING", OK: errno == 0, Fatal: true}
	if errno != 0 {
		c.refused(errno, "the kernel refuses a ring of provided buffers", "boot Linux 6.1 or later; if it says ENOMEM, raise ulimit -l")
	}
	return c
}

func probeCachestat() Check {
	errno, _ := unix.Cachestat(^uint(0), nil, nil, 0).(syscall.Errno)
	return classifyCachestat(errno)
}

// classifyCachestat is given the error of cachestat(2) on descriptor -1: EBADF where the call exists.
func classifyCachestat(errno syscall.Errno) Check {
	c := Check{Name: "cachestat", Found: "available", Need: "cachestat(2), Linux 6.5 or later", OK: true}
	switch errno {
	case unix.ENOSYS:
		c.OK, c.Found = false, "ENOSYS"
		c.Cause = "this kernel is older than 6.5, so the server can't ask what is in the page cache"
		c.Remedy = "none needed: --transfer auto then moves everything but what was just written by splice"
	case unix.EPERM, unix.EACCES:
		c.OK, c.Found = false, unix.ErrnoName(errno)
		c.Cause = "a seccomp filter forbids cachestat(2), so the server can't ask what is in the page cache"
		c.Remedy = "allow system call 451 in the container's seccomp profile"
	}
	return c
}
