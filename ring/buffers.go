package ring

import (
	"fmt"
	"unsafe"

	"github.com/pawelgaczynski/giouring"
	"golang.org/x/sys/unix"
)

// recvGroup is the one group of provided buffers.
const recvGroup = 1

// buffers is the provided-buffer ring of recv: the kernel takes a buffer only when bytes have arrived, so that a waiting
// connection holds none.
//
//	kernel's ----(recv completes with the buffer's number)----> ours ----(ReleaseBuffer)----> kernel's
type buffers struct {
	ring  *giouring.BufAndRing
	each  int
	mask  int
	arena *Arena
	ours  []bool // by number: it came with a completion and has not been released
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
	b := &buffers{ring: br, each: each, mask: giouring.BufRingMask(uint32(count)), arena: arena, ours: make([]bool, count)}
	for i := range count {
		b.ring.BufRingAdd(address(b.slot(uint16(i))), uint32(each), uint16(i), b.mask, i)
	}
	b.ring.BufRingAdvance(count)
	return b, nil
}

func (b *buffers) slot(id uint16) []byte { return b.arena.Slice(int(id)*b.each, b.each) }

// received is called for each completion with a buffer.
func (b *buffers) received(c Completion) {
	id := c.BufferID()
	if int(id) >= len(b.ours) || b.ours[id] || int(c.Result) > b.each {
		panic(fmt.Sprintf("ring: the kernel filled buffer %d of %d, which it did not have, with %d bytes of %d", id, len(b.ours), c.Result, b.each))
	}
	b.ours[id] = true
}

// bytes returns the received bytes of a completion.
func (b *buffers) bytes(c Completion) []byte {
	if !c.HasBuffer() || !b.ours[c.BufferID()] {
		panic("ring: a buffer is read that has been released or never came: " + c.Token.String())
	}
	return b.slot(c.BufferID())[:max(c.Result, 0)]
}

func (b *buffers) release(c Completion) {
	id := c.BufferID()
	if !c.HasBuffer() || !b.ours[id] {
		panic("ring: a buffer is released that was released before or never came: " + c.Token.String())
	}
	b.ours[id] = false
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
