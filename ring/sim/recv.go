package sim

import (
	"syscall"

	"oneplusn/ring"
	"oneplusn/segment/mark"
)

// receiveBuffers are the provided buffers of recv.
type receiveBuffers struct {
	arena *ring.Arena
	each  int
	free  []int
	ours  []bool // by number: the program has it
}

// ProvideBuffers gives the kernel its buffers for recv.
func (k *Kernel) ProvideBuffers(count, each int) error {
	arena, err := ring.NewArena(count * each)
	if err != nil {
		return err
	}
	k.receive = receiveBuffers{arena: arena, each: each, ours: make([]bool, count)}
	for i := range count {
		k.receive.free = append(k.receive.free, i)
	}
	return nil
}

func (b *receiveBuffers) slot(i int) []byte { return b.arena.Slice(i*b.each, b.each) }

func (b *receiveBuffers) close() {
	if b.arena != nil {
		_ = b.arena.Close()
	}
}

// recv receives into a provided buffer, and stays armed. It says whether it has ended.
func (k *Kernel) recv(o *operation) (ended bool) {
	s, open := k.objects[int(o.FD)].(*Socket)
	b := &k.receive
	switch {
	case !open:
		k.violate("%v receives from descriptor %d, which is no open socket", o.Token, o.FD)
		k.complete(o, -int32(syscall.EBADF), false, -1)
		return true
	case s.wasReset && !s.shut:
		mark.Hit("the machine told of a reset connection")
		k.complete(o, -int32(syscall.ECONNRESET), false, -1)
		return true
	case s.shut || len(s.inbound) == 0 && s.finished:
		k.complete(o, 0, false, -1)
		return true
	case len(s.inbound) == 0:
		return false
	case len(b.free) == 0:
		mark.Hit("the machine had no buffer left to receive into")
		k.stats.NoBuffers++
		k.complete(o, -int32(syscall.ENOBUFS), false, -1)
		return true
	}
	i := k.machine.random.IntN(len(b.free))
	id := b.free[i]
	b.free[i] = b.free[len(b.free)-1]
	b.free = b.free[:len(b.free)-1]
	b.ours[id] = true
	n := copy(b.slot(id), s.inbound[:k.machine.some(min(len(s.inbound), b.each))])
	s.take(n)
	ended = k.machine.oneIn(k.machine.options.EndOneIn)
	mark.HitIf(ended, "the machine ended a multishot receive")
	k.complete(o, int32(n), !ended, id)
	return ended
}

// Buffer implements [ring.Kernel].
func (k *Kernel) Buffer(c ring.Completion) []byte {
	if !c.HasBuffer() || !k.receive.ours[c.BufferID()] {
		panic("sim: a buffer is read that has been released or never came: " + c.Token.String())
	}
	return k.receive.slot(int(c.BufferID()))[:max(c.Result, 0)]
}

// ReleaseBuffer implements [ring.Kernel]. What the buffer held is overwritten.
func (k *Kernel) ReleaseBuffer(c ring.Completion) {
	id := int(c.BufferID())
	if !c.HasBuffer() || !k.receive.ours[id] {
		panic("sim: a buffer is released that was released before or never came: " + c.Token.String())
	}
	k.receive.ours[id] = false
	k.receive.free = append(k.receive.free, id)
	scribble(k.receive.slot(id)[:max(c.Result, 0)])
}

// scribble overwrites what nobody may read any more.
func scribble(b []byte) {
	if len(b) > 0 {
		b[0] = 0xDB
		for n := 1; n < len(b); n *= 2 {
			copy(b[n:], b[:n])
		}
	}
}
