package ring

import (
	"unsafe"

	"github.com/pawelgaczynski/giouring"
	"golang.org/x/sys/unix"
)

// recvGroup is the one group of provided buffers.
const recvGroup = 1

// prepare fills a submission queue entry. It is the only place that does: the entry is zeroed first, because GetSQE
// hands out entries with the fields of their last use, and giouring's prepare functions clear only some of them.
// Every field is set by hand, so that none of giouring's broken prepare functions can be reached.
func prepare(sqe *giouring.SubmissionQueueEntry, op *Op) {
	*sqe = giouring.SubmissionQueueEntry{}
	sqe.Fd = op.FD
	sqe.UserData = uint64(op.Token)
	if op.Async {
		sqe.Flags |= giouring.SqeAsync
	}
	switch op.Code {
	case OpNop:
		sqe.OpCode = giouring.OpNop
		sqe.Fd = -1
	case OpRecv:
		sqe.OpCode = giouring.OpRecv
		sqe.IoPrio = giouring.RecvMultishot
		sqe.Flags |= giouring.SqeBufferSelect
		sqe.BufIG = recvGroup
	case OpSend:
		sqe.OpCode = giouring.OpSend
		sqe.Addr = uint64(op.Addr)
		sqe.Len = op.Len
		sqe.OpcodeFlags = op.Flags | unix.MSG_NOSIGNAL
	case OpSendmsg:
		sqe.OpCode = giouring.OpSendmsg
		sqe.Addr = uint64(op.Addr)
		sqe.Len = 1
		sqe.OpcodeFlags = op.Flags | unix.MSG_NOSIGNAL
	case OpRead:
		sqe.OpCode = giouring.OpRead
		sqe.Addr = uint64(op.Addr)
		sqe.Len = op.Len
		sqe.Off = uint64(op.OffIn)
	case OpSplice:
		sqe.OpCode = giouring.OpSplice
		sqe.SpliceFdIn = op.FDIn
		sqe.Addr = uint64(op.OffIn)
		sqe.Off = ^uint64(0) // the target, a pipe or a socket, has no offset
		sqe.Len = op.Len
		sqe.OpcodeFlags = op.Flags
	case OpPoll:
		sqe.OpCode = giouring.OpPollAdd
		sqe.OpcodeFlags = op.Flags
	case OpFsync:
		sqe.OpCode = giouring.OpFsync
		sqe.OpcodeFlags = giouring.FsyncDatasync
	case OpFadvise:
		sqe.OpCode = giouring.OpFadvise
		sqe.Off = uint64(op.OffIn)
		sqe.Len = op.Len
		sqe.OpcodeFlags = op.Flags
	case OpCancel:
		sqe.OpCode = giouring.OpAsyncCancel
		sqe.OpcodeFlags = giouring.AsyncCancelFd | giouring.AsyncCancelAll
	case OpCancelToken:
		sqe.OpCode = giouring.OpAsyncCancel
		sqe.Fd = -1
		sqe.Addr = uint64(op.Addr)
	default:
		panic("ring: unknown opcode " + op.Code.String())
	}
}

// buffers is the provided-buffer ring of recv.
type buffers struct {
	ring  *giouring.BufAndRing
	mem   []byte
	each  int
	mask  int
	arena *Arena
}

func newBuffers(gr *giouring.Ring, count, each int) (*buffers, error) {
	arena, err := NewArena(count * each)
	if err != nil {
		return nil, err
	}
	br, err := gr.SetupBufRing(uint32(count), recvGroup, 0)
	if err != nil {
		_ = arena.Close()
		return nil, err
	}
	b := &buffers{ring: br, mem: arena.Take(count * each), each: each, mask: giouring.BufRingMask(uint32(count)), arena: arena}
	for i := range count {
		b.ring.BufRingAdd(address(b.slot(uint16(i))), uint32(each), uint16(i), b.mask, i)
	}
	b.ring.BufRingAdvance(count)
	return b, nil
}

func (b *buffers) slot(id uint16) []byte {
	start := int(id) * b.each
	return b.mem[start : start+b.each : start+b.each]
}

func (b *buffers) release(id uint16) {
	b.ring.BufRingAdd(address(b.slot(id)), uint32(b.each), id, b.mask, 0)
	b.ring.BufRingAdvance(1)
}

// close unregisters the group and unmaps both mappings; giouring's FreeBufRing leaves its own in place.
func (b *buffers) close(gr *giouring.Ring) {
	_ = gr.FreeBufRing(recvGroup)
	ringBytes := (b.mask + 1) * int(giouring.RingBufStructSize)
	_, _, _ = unix.Syscall(unix.SYS_MUNMAP, uintptr(unsafe.Pointer(b.ring)), uintptr(ringBytes), 0)
	_ = b.arena.Close()
}
