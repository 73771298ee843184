package sim

import (
	"bytes"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"oneplusn/ring"
	"oneplusn/segment/mark"
)

// memoryAt is the memory that an operation names. It lies outside the Go heap, so an address is all there is to it.
func memoryAt(address uintptr, n int) []byte {
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&address))), n)
}

// gather is the memory of a send, in pieces.
func gather(o *operation) [][]byte {
	if o.Code == ring.OpSend {
		return [][]byte{memoryAt(o.Addr, int(o.Len))}
	}
	m := (*ring.Message)(*(*unsafe.Pointer)(unsafe.Pointer(&o.Addr)))
	pieces := make([][]byte, m.Len())
	for i := range pieces {
		pieces[i] = m.Piece(i)
	}
	return pieces
}

// send copies memory to a socket: all of it with MSG_WAITALL, else what there is room for.
func (k *Kernel) send(o *operation) (result int32, ok bool) {
	s, open := k.objects[int(o.FD)].(*Socket)
	if !open {
		k.violate("%v writes to descriptor %d, which is no open socket", o.Token, o.FD)
		return -int32(syscall.EBADF), true
	}
	all, faulty := k.sendable(o)
	all -= o.done
	switch {
	case faulty && all == 0 && o.done == 0:
		return -int32(syscall.EFAULT), true
	case s.Dead() && o.done > 0:
		mark.Hit("a connection ended in the middle of a send")
		return int32(o.done), true
	case s.Dead():
		return -int32(syscall.EPIPE), true
	case s.space == 0 && o.Flags&unix.MSG_DONTWAIT != 0:
		mark.Hit("a send that must not wait found the socket full")
		return -int32(syscall.EAGAIN), true
	case s.space == 0 && all > 0:
		return 0, false
	}
	n := k.machine.some(min(all, s.space))
	s.putPieces(gather(o), o.done, n)
	o.done += n
	if o.Flags&unix.MSG_WAITALL != 0 && n < all {
		return 0, false
	}
	return int32(o.done), true
}

// sendable is how many bytes a send has. faulty says that they end before a page of a mapping that the disk cannot read: there a copy
// in the kernel ends with EFAULT, where the program itself would get SIGBUS.
func (k *Kernel) sendable(o *operation) (all int, faulty bool) {
	for _, b := range gather(o) {
		n, at := k.machine.disk.mappedAt(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
		if n != nil && len(n.bad) > 0 && len(b) > 0 && at+len(b) <= n.size {
			if readable := int(n.read(int64(at), int64(len(b)))); readable < len(b) {
				return all + readable, true
			}
		}
		all += len(b)
	}
	return all, false
}

// putPieces queues a copy of n bytes from a position in the pieces on.
func (s *Socket) putPieces(pieces [][]byte, from, n int) {
	for _, b := range pieces {
		skip := min(from, len(b))
		if b, from = b[skip:], from-skip; len(b) > n {
			b = b[:n]
		}
		if n -= len(b); len(b) > 0 {
			s.putCopy(b)
		}
	}
}

// checkSend looks at what is sent when it is queued. From a mapping, an inline send of a page that is not resident would wait for a
// disk on the loop's thread; that a page is evicted between the question and the send is a risk that no program can avoid. Other
// memory must not change until the completion.
func (k *Kernel) checkSend(o *operation) {
	if o.Code != ring.OpSend && o.Code != ring.OpSendmsg {
		return
	}
	for _, b := range gather(o) {
		n, at := k.machine.disk.mappedAt(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
		if n == nil {
			o.was = append(o.was, b...)
			continue
		}
		if at+len(b) > n.size {
			k.violate("%v sends %d bytes at %d of a file of %d", o.Token, len(b), at, n.size)
			continue
		}
		if !o.Async && !n.resident(int64(at), int64(len(b))) {
			k.violate("%v sends %d bytes at %d inline, and not all of them are resident", o.Token, len(b), at)
		}
		n.read(int64(at), int64(len(b)))
	}
}

// checkUnchanged reports memory that was changed while the kernel held it.
func (k *Kernel) checkUnchanged(o *operation) {
	was := o.was
	if len(was) == 0 {
		return
	}
	for _, b := range gather(o) {
		if n, _ := k.machine.disk.mappedAt(uintptr(unsafe.Pointer(unsafe.SliceData(b)))); n != nil {
			continue
		}
		if !bytes.Equal(b, was[:min(len(b), len(was))]) {
			k.violate("memory that %v sends was changed while the kernel held it", o.Token)
			return
		}
		was = was[len(b):]
	}
}

// fsync is fdatasync of a file.
func (k *Kernel) fsync(o *operation) int32 {
	f := k.file(int(o.FD))
	d := k.machine.disk
	switch {
	case f == nil:
		return -int32(syscall.EBADF)
	case d.sync(f.inode, f.name) != nil:
		return -int32(syscall.EIO)
	}
	return 0
}

// read copies from a file to memory.
func (k *Kernel) read(o *operation) int32 {
	f := k.file(int(o.FD))
	if f == nil {
		return -int32(syscall.EBADF)
	}
	n := min(int64(o.Len), int64(f.inode.size)-o.OffIn)
	if n <= 0 {
		return 0
	}
	if n = f.inode.read(o.OffIn, int64(k.machine.some(int(n)))); n == 0 {
		return -int32(syscall.EIO)
	}
	copy(memoryAt(o.Addr, int(n)), f.inode.content[o.OffIn:])
	return int32(n)
}

// spliceIn moves references to a file's pages into a pipe, as far as it has slots.
func (k *Kernel) spliceIn(o *operation, p *pipe) int32 {
	f := k.file(int(o.FDIn))
	if f == nil {
		return -int32(syscall.EBADF)
	}
	switch {
	case o.OffIn >= int64(f.inode.size):
		return 0
	case len(p.pieces) == p.slots:
		mark.Hit("a splice found the pipe full")
		return -int32(syscall.EAGAIN)
	}
	want := k.machine.some(int(min(int64(o.Len), int64(f.inode.size)-o.OffIn)))
	room := (p.slots-len(p.pieces))*f.inode.page - int(o.OffIn)%f.inode.page
	if want = int(f.inode.read(o.OffIn, int64(min(want, room)))); want == 0 {
		return -int32(syscall.EIO)
	}
	moved := 0
	for moved < want && len(p.pieces) < p.slots {
		at := int(o.OffIn) + moved
		n := min(want-moved, f.inode.page-at%f.inode.page)
		p.pieces = append(p.pieces, piece(f.inode.content[at:at+n]))
		moved += n
	}
	mark.HitIf(moved == room, "a splice into a pipe ended with its last slot")
	return int32(moved)
}

// spliceOut moves what a pipe holds to a socket, as far as that has room.
func (k *Kernel) spliceOut(o *operation) int32 {
	p, fromPipe := k.objects[int(o.FDIn)].(*pipe)
	s, toSocket := k.objects[int(o.FD)].(*Socket)
	if !fromPipe || !toSocket {
		k.violate("%v splices from %d to %d, which are not open", o.Token, o.FDIn, o.FD)
		return -int32(syscall.EBADF)
	}
	if held := p.bytes(); int(o.Len) > held {
		k.violate("%v splices %d bytes from a pipe that holds %d", o.Token, o.Len, held)
	}
	switch {
	case s.Dead():
		return -int32(syscall.EPIPE)
	case s.space == 0 || len(p.pieces) == 0:
		mark.Hit("a splice found the socket full")
		return -int32(syscall.EAGAIN)
	}
	want := k.machine.some(min(int(o.Len), s.space, p.bytes()))
	for left := want; left > 0; {
		n := min(left, len(p.pieces[0]))
		s.put(p.pieces[0][:n])
		left -= n
		if p.pieces[0] = p.pieces[0][n:]; len(p.pieces[0]) == 0 {
			p.pieces = p.pieces[1:]
		}
	}
	return int32(want)
}

// advise reads pages, or drops those that lie whole in the range. Pipes and sockets keep the bytes that they refer to.
func (k *Kernel) advise(o *operation) int32 {
	f := k.file(int(o.FD))
	if f == nil {
		return -int32(syscall.EBADF)
	}
	end := min(o.OffIn+int64(o.Len), int64(f.inode.size))
	switch o.Flags {
	case unix.FADV_WILLNEED:
		f.inode.read(o.OffIn, end-o.OffIn)
	case unix.FADV_DONTNEED:
		from, to := f.inode.pagesIn(int(o.OffIn)), int(end)/f.inode.page
		if end == int64(f.inode.size) {
			to = f.inode.pagesIn(int(end))
		}
		f.inode.evictPages(from, to, func() bool { return true })
	}
	return 0
}

func (k *Kernel) poll(o *operation) (result int32, ok bool) {
	switch at := k.objects[int(o.FD)].(type) {
	case *Socket:
		switch {
		case at.Dead():
			return unix.POLLHUP | unix.POLLERR, true
		case at.space > 0:
			return unix.POLLOUT, true
		}
	case *listener:
		if len(at.waiting) > 0 {
			return unix.POLLIN, true
		}
	default:
		k.violate("%v polls descriptor %d, which is no open socket", o.Token, o.FD)
		return unix.POLLNVAL, true
	}
	return 0, false
}

// Sendfile implements [ring.Kernel].
func (k *Kernel) Sendfile(socket, file int, offset int64, n int) int {
	s, toSocket := k.objects[socket].(*Socket)
	f, fromFile := k.objects[file].(*File)
	if !toSocket || !fromFile || n < 1 || offset < 0 {
		k.violate("sendfile of %d bytes at %d from %d to %d, not an open file and socket or not a range", n, offset, file, socket)
		return -int(syscall.EBADF)
	}
	if slices.ContainsFunc(k.pending, func(o *operation) bool { return o.socket == s }) {
		k.violate("sendfile to descriptor %d while another operation writes to it", socket)
	}
	switch {
	case s.Dead():
		return -int(syscall.EPIPE)
	case s.space == 0:
		mark.Hit("a sendfile on the machine found the socket full")
		return -int(syscall.EAGAIN)
	}
	moved := k.machine.some(min(n, s.space, f.inode.size-int(offset)))
	if !f.inode.resident(offset, int64(moved)) {
		k.violate("sendfile of %d bytes at %d, not all of them resident", moved, offset)
	}
	if moved = int(f.inode.read(offset, int64(moved))); moved == 0 {
		return -int(syscall.EIO)
	}
	s.put(f.inode.content[offset : offset+int64(moved)])
	return moved
}
