package ring

import (
	"syscall"
	"time"
)

// Completion is the result of one operation, copied out of the completion queue.
type Completion struct {
	Token Token
	// Result is the system call's: a count, a descriptor, a mask, or a negative errno.
	Result int32
	flags  uint32
}

// Err is the errno of a failed operation, 0 for one that succeeded. It never allocates.
func (c Completion) Err() syscall.Errno {
	if c.Result >= 0 {
		return 0
	}
	return syscall.Errno(-c.Result)
}

// Interrupted reports whether an errno says that an operation did nothing and may be queued again: a signal came, or no worker
// could be started. 512 is the kernel's internal "restart the system call", which io_uring passes on from a splice that was interrupted
// before it moved anything, and from an fdatasync on a network file system.
func Interrupted(errno syscall.Errno) bool {
	const restart = syscall.Errno(512) // ERESTARTSYS
	return errno == syscall.EINTR || errno == syscall.EAGAIN || errno == syscall.ECANCELED || errno == restart
}

// The bits of a completion's flags (linux/io_uring.h).
const (
	flagBuffer      = 1 << 0
	flagMore        = 1 << 1
	flagBufferShift = 16
)

// More reports whether the operation is a multishot one and still armed.
func (c Completion) More() bool { return c.flags&flagMore != 0 }

// HasBuffer reports whether the completion carries a provided buffer, which the receiver must give back.
func (c Completion) HasBuffer() bool { return c.flags&flagBuffer != 0 }

// BufferID is the provided buffer's number, valid if [Completion.HasBuffer].
func (c Completion) BufferID() uint16 { return uint16(c.flags >> flagBufferShift) }

// NewCompletion builds a completion, for simulated kernels. bufferID is -1 where there is no buffer.
func NewCompletion(t Token, result int32, more bool, bufferID int) Completion {
	c := Completion{Token: t, Result: result}
	if more {
		c.flags |= flagMore
	}
	if bufferID >= 0 {
		c.flags |= flagBuffer | uint32(bufferID)<<flagBufferShift
	}
	return c
}

// Pipe is a non-blocking pipe used as the stage between a file and a socket.
type Pipe struct {
	R, W int
	// Slots is the capacity: one slot holds one page or a part of one.
	Slots int
}

// Kernel is all that the loop needs of an operating system. [Ring] is the real one.
//
// Queue and Wait make up the asynchronous half. The other calls are made directly on the loop's thread because none of
// them can block: they work on non-blocking descriptors or on memory.
//
// All methods but Wake and Now belong to the thread that made the Kernel.
type Kernel interface {
	// Queue accepts an operation. It never blocks and never fails: operations beyond the submission queue wait in order,
	// and those that the kernel refuses come back as completions with an errno.
	Queue(op Op)
	// Wait submits all that is queued, waits until something completes or timeout has passed (negative: for ever; 0:
	// only looks), and returns the completions. The slice is valid until the next Wait.
	Wait(timeout time.Duration) ([]Completion, error)
	// InFlight is the number of operations queued or submitted that have not had their last completion.
	InFlight() int
	// Buffer is the provided buffer of a recv completion, cut to its length. It is valid until ReleaseBuffer.
	Buffer(c Completion) []byte
	// ReleaseBuffer gives a provided buffer back to the kernel.
	ReleaseBuffer(c Completion)
	// Wake makes a Wait that is under way, or else the next one, return. It may be called from any
	// goroutine, also during and after Close.
	Wake()

	// Now is the monotonic clock. A simulated kernel has virtual time.
	Now() time.Duration
	// OpenPipe makes a non-blocking pipe of at least wantBytes if the limits of this user allow it; the Pipe says what
	// was given.
	OpenPipe(wantBytes int) (Pipe, error)
	// ClosePipe closes both ends and drops what the pipe holds. No operation on it may be in flight.
	ClosePipe(p Pipe)
	// Sendfile is sendfile(2) on a non-blocking socket: the count, or a negative errno.
	Sendfile(socket, file int, offset int64, n int) int
	// Resident reports whether every page of the range is in the page cache, so that reading it cannot wait for a disk.
	// It answers false where the kernel cannot tell (cachestat(2) is Linux 6.5).
	Resident(file int, offset, n int64) bool
	// Absent reports whether no page of the range is in the page cache. It answers false where the kernel cannot tell.
	Absent(file int, offset, n int64) bool
	// Listen begins to listen on a bound socket that does not block. poll can be polled for POLLIN while connections wait to be accepted.
	//
	// It is an epoll instance that watches the socket, not the socket itself: after a kill the kernel tears the ring down asynchronously,
	// and a file with an operation stays open meanwhile, so the socket would go on accepting connections that nobody serves. An
	// epoll instance holds no reference to what it watches: the socket closes with its process.
	Listen(socket, backlog int) (poll int, err error)
	// Accept is accept4(2). The accepted socket does not block either: splice honours the descriptor's O_NONBLOCK only, and a
	// blocking one would hold a kernel worker until its peer reads.
	Accept(socket int) (connection int, err error)
	// LocalAddress and PeerAddress are the ends of a connection as host:port, "?" if the kernel does not tell.
	LocalAddress(socket int) string
	PeerAddress(socket int) string
	// Shutdown is shutdown(2) of both directions. It wakes operations that wait on the socket.
	Shutdown(socket int)
	// CloseFD closes a descriptor on which no operation is in flight.
	CloseFD(fd int)
	// Stats are the counters since the start.
	Stats() Stats
	// Close releases the ring. Operations still in flight are cancelled by the kernel.
	Close() error
}

// Stats counts what the ring did since its start.
type Stats struct {
	Submitted uint64 `json:"submitted" metric:"ring_entries_submitted_total" help:"Submission queue entries handed to the kernel."`
	// Completed counts those of multishot operations one by one.
	Completed uint64 `json:"completed" metric:"ring_completions_total" help:"Completions."`
	Enters    uint64 `json:"enters" metric:"ring_enters_total" help:"Calls of io_uring_enter."`
	// QueuedWhenFull is to be compared with Submitted.
	QueuedWhenFull uint64 `json:"queued_when_full" metric:"ring_queued_when_full_total" help:"Operations that waited because the submission queue was full: a larger --ring-size would help."`
	// BacklogMax is the most operations that waited at once.
	BacklogMax uint64 `json:"backlog_max"`
	// CQOverflows lose nothing (IORING_FEAT_NODROP), but the kernel had to allocate.
	CQOverflows uint64 `json:"cq_overflows" metric:"ring_completion_overflows_total" help:"Waits that found the completion queue overflown: a larger --cq-size would help."`
	NoBuffers   uint64 `json:"no_buffers" metric:"ring_no_buffers_total" help:"Receives that ended because all receive buffers were in use."`
	// ByOpcode counts operations queued.
	ByOpcode [opcodes]uint64 `json:"-"`
}
