package ring

import (
	"github.com/pawelgaczynski/giouring"
	"golang.org/x/sys/unix"
)

// prepare fills a submission queue entry. It is the only place that does: the entry is zeroed first, because GetSQE
// hands out entries with the fields of their last use, and giouring's prepare functions clear only some of them.
// Every field is set by hand, so that none of giouring's broken prepare functions can be reached. A field that an operation
// does not use is 0 in its [Op] too.
func prepare(sqe *giouring.SubmissionQueueEntry, op *Op) {
	*sqe = giouring.SubmissionQueueEntry{}
	sqe.OpCode, _ = op.Code.Kernel()
	sqe.Fd = op.FD
	sqe.Off = uint64(op.OffIn)
	sqe.Addr = uint64(op.Addr)
	sqe.Len = op.Len
	sqe.OpcodeFlags = op.Flags
	sqe.UserData = uint64(op.Token)
	if op.Async {
		sqe.Flags |= giouring.SqeAsync
	}
	switch op.Code {
	case OpRecv:
		sqe.IoPrio = giouring.RecvMultishot
		sqe.Flags |= giouring.SqeBufferSelect
		sqe.BufIG = recvGroup
	case OpSend:
		sqe.OpcodeFlags |= unix.MSG_NOSIGNAL
	case OpSendmsg:
		sqe.Len = 1 // message
		sqe.OpcodeFlags |= unix.MSG_NOSIGNAL
	case OpSplice:
		sqe.SpliceFdIn = op.FDIn
		sqe.Addr = uint64(op.OffIn)
		sqe.Off = ^uint64(0) // the target, a pipe or a socket, has no offset
	case OpFsync:
		sqe.OpcodeFlags = giouring.FsyncDatasync
	case OpCancel:
		sqe.OpcodeFlags = giouring.AsyncCancelFd | giouring.AsyncCancelAll
	case OpCancelToken:
		sqe.Fd = -1
	}
}
