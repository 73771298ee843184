package ring

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/pawelgaczynski/giouring"
)

// Opcode is the kind of an [Op]. The set is exactly what the program uses: a simulated kernel needs to implement no
// others.
type Opcode uint8

// The operations. The numbers are ours, not io_uring's; 0 is none, so that an [Op] that was not filled in is refused.
const (
	_             Opcode = iota
	OpRecv               // multishot recv into provided buffers; see [Kernel.Buffer]
	OpSend               // send of one buffer
	OpSendmsg            // sendmsg of a [Message]
	OpRead               // pread into a buffer, or read of an eventfd
	OpSplice             // splice; always run by a worker thread of the kernel (io_uring/splice.c, every version to 6.18)
	OpPoll               // one-shot poll; Result is the ready mask
	OpFsync              // fdatasync
	OpFadvise            // posix_fadvise; what may wait for a disk is run by a worker thread
	OpCancel             // cancels every operation on a descriptor
	OpCancelToken        // cancels the operation with a given token
	opcodes
)

// opcodeTable has for each operation our name, and the kernel's number and name.
var opcodeTable = [opcodes]struct {
	name       string
	number     uint8
	kernelName string
}{
	OpRecv:        {"recv", giouring.OpRecv, "RECV"},
	OpSend:        {"send", giouring.OpSend, "SEND"},
	OpSendmsg:     {"sendmsg", giouring.OpSendmsg, "SENDMSG"},
	OpRead:        {"read", giouring.OpRead, "READ"},
	OpSplice:      {"splice", giouring.OpSplice, "SPLICE"},
	OpPoll:        {"poll", giouring.OpPollAdd, "POLL_ADD"},
	OpFsync:       {"fsync", giouring.OpFsync, "FSYNC"},
	OpFadvise:     {"fadvise", giouring.OpFadvise, "FADVISE"},
	OpCancel:      {"cancel", giouring.OpAsyncCancel, "ASYNC_CANCEL"},
	OpCancelToken: {"cancel-token", giouring.OpAsyncCancel, "ASYNC_CANCEL"},
}

// Opcodes lists every opcode, for reports over [Stats.ByOpcode].
func Opcodes() (all []Opcode) {
	for o := OpRecv; o < opcodes; o++ {
		all = append(all, o)
	}
	return all
}

// String is the lower-case name used in logs and metrics.
func (o Opcode) String() string {
	if o.known() {
		return opcodeTable[o].name
	}
	return "unknown"
}

// Kernel is the operation's number and name in linux/io_uring.h.
func (o Opcode) Kernel() (number uint8, name string) {
	return opcodeTable[o].number, opcodeTable[o].kernelName
}

func (o Opcode) known() bool { return o > 0 && o < opcodes }

// Op is one operation to queue, a plain value. Buffers are addresses because they lie outside the Go heap: the caller
// owns them and must not touch, free or reuse them before the completion.
type Op struct {
	Code Opcode
	// Async sends the operation straight to a worker thread. It is for operations that could block the loop's thread
	// on a disk if they were tried inline, such as a send from a mapping whose pages are not resident.
	Async bool
	// FD is the descriptor written to, read from, polled or cancelled.
	FD int32
	// FDIn is the source of a splice.
	FDIn int32
	// OffIn is the file offset of a read or an advice, or of a splice's source; -1 where the source is a pipe.
	OffIn int64
	Addr  uintptr
	Len   uint32
	// Flags are the operation's own: MSG_* of send and sendmsg, SPLICE_F_*, the poll mask, POSIX_FADV_*.
	Flags uint32
	Token Token
}

// Assert panics if no kernel could run the operation: a bug of its owner, which as a completion with an errno would be
// taken for a fault of the peer or the disk. Every [Kernel] asserts its operations.
func (op *Op) Assert() {
	ok := op.Code.known() && (op.FD >= 0 || op.Code == OpCancelToken)
	switch op.Code {
	case OpSend, OpRead:
		ok = ok && op.Addr != 0 && op.bytes() && op.OffIn >= 0
	case OpSendmsg:
		ok = ok && op.Addr != 0
	case OpSplice:
		ok = ok && op.bytes() && op.FDIn >= 0 && op.OffIn >= -1
	case OpFadvise:
		ok = ok && op.bytes() && op.OffIn >= 0
	case OpPoll:
		ok = ok && op.Flags != 0
	}
	if !ok {
		panic(fmt.Sprintf("ring: an operation needs descriptors, a range and at least one byte: %v of %d bytes at %d, descriptors %d and %d, %v",
			op.Code, op.Len, op.OffIn, op.FD, op.FDIn, op.Token))
	}
}

// bytes reports whether the operation is of at least one byte, and of no more than a result can count.
func (op *Op) bytes() bool { return op.Len > 0 && op.Len <= math.MaxInt32 }

// Recv arms a multishot recv that takes its buffers from the ring's provided buffers.
func Recv(t Token, fd int) Op { return Op{Code: OpRecv, Token: t, FD: int32(fd)} }

// Send sends b, which lies outside the Go heap. flags are MSG_*; MSG_NOSIGNAL is always added.
func Send(t Token, fd int, b []byte, flags uint32) Op {
	return Op{Code: OpSend, Token: t, FD: int32(fd), Addr: address(b), Len: uint32(len(b)), Flags: flags}
}

// Sendmsg sends the pieces of m, which lies outside the Go heap like every buffer it names.
func Sendmsg(t Token, fd int, m *Message, flags uint32) Op {
	if m.Len() == 0 {
		panic("ring: a message has at least one piece: " + t.String())
	}
	return Op{Code: OpSendmsg, Token: t, FD: int32(fd), Addr: uintptr(unsafe.Pointer(m)), Flags: flags}
}

// Read reads len(b) bytes of fd at offset into b, which lies outside the Go heap. A short result is normal.
func Read(t Token, fd int, b []byte, offset int64) Op {
	return Op{Code: OpRead, Token: t, FD: int32(fd), OffIn: offset, Addr: address(b), Len: uint32(len(b))}
}

// SpliceFromFile moves up to n bytes of a file at offset into a pipe, by reference. The result is short when the pipe
// has fewer free slots than the range has pages.
func SpliceFromFile(t Token, file int, offset int64, pipe int, n uint32) Op {
	return Op{Code: OpSplice, Token: t, FD: int32(pipe), FDIn: int32(file), OffIn: offset, Len: n}
}

// SpliceToSocket moves n bytes from a pipe to a socket. n must be exactly what the pipe holds, or less: with more, the
// kernel marks the last piece "more to come" and the peer waits 200 ms for it.
func SpliceToSocket(t Token, pipe, socket int, n uint32, flags uint32) Op {
	return Op{Code: OpSplice, Token: t, FD: int32(socket), FDIn: int32(pipe), OffIn: -1, Len: n, Flags: flags}
}

// Poll waits once for any of the POLL* events in mask.
func Poll(t Token, fd int, mask uint32) Op {
	return Op{Code: OpPoll, Token: t, FD: int32(fd), Flags: mask}
}

// Fdatasync flushes a file's data. It always runs on a worker.
func Fdatasync(t Token, fd int) Op { return Op{Code: OpFsync, Token: t, FD: int32(fd)} }

// Fadvise gives the kernel one of the FADV_* advices about n bytes of a file (posix_fadvise(2)).
func Fadvise(t Token, fd int, offset int64, n uint32, advice uint32) Op {
	return Op{Code: OpFadvise, Token: t, FD: int32(fd), OffIn: offset, Len: n, Flags: advice}
}

// Cancel cancels every operation whose target is fd. Its result is a hint only: the kernel reports 0 even when it
// interrupted something, so only the cancelled operations' own completions count.
func Cancel(t Token, fd int) Op { return Op{Code: OpCancel, Token: t, FD: int32(fd)} }

// CancelToken cancels the operation that was queued with the token target.
func CancelToken(t, target Token) Op {
	return Op{Code: OpCancelToken, Token: t, Addr: uintptr(target)}
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
