package transfer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"oneplusn/ring"
)

// sendMapped queues one sendmsg of what comes next, heads and mapped ranges alike, up to the chunk size. Parts that
// follow in the same mode go with it, so that a response of small ranges is one operation. The ring itself waits while
// the socket is full: there is no stage to hold meanwhile.
func (e *Engine) sendMapped(f *Flow) {
	m := f.Message
	m.Reset()
	room := e.config.ChunkBytes
	cold := false
	headSent, moved := f.headSent, f.moved
	for i := f.cur; i < len(f.parts) && room > 0; i++ {
		p := &f.parts[i]
		if i > f.cur && e.pick(p) != Send {
			break
		}
		n, whole, ok := e.addPart(m, p, headSent, moved, room, &cold)
		room -= n
		headSent, moved = 0, 0
		if !whole || !ok {
			break
		}
	}
	op := ring.Sendmsg(e.token(f, KindWrite), f.Socket, m, 0)
	op.Async = cold
	e.write(f, op, fromMap)
}

// addPart adds what is left of one part to the message: n bytes of it, whole if nothing remains. ok is false when the
// message has no piece left.
func (e *Engine) addPart(m *ring.Message, p *Part, headSent int, moved int64, room int, cold *bool) (n int, whole, ok bool) {
	if head := p.Head[headSent:]; len(head) > 0 {
		if !m.Add(head) {
			return 0, false, false
		}
		n = len(head) // a head is never cut: it is small, and room only bounds the loop's time
	}
	left := p.Len - moved
	if p.Source == nil || left == 0 {
		return n, true, true
	}
	mapped, err := p.Source.Map()
	take := min(left, int64(max(room-n, 1)))
	pos := p.Pos + moved
	if err != nil || pos+take > int64(len(mapped)) || !m.Add(mapped[pos:pos+take]) {
		return n, false, false
	}
	resident := e.resident(p.Source, pos, take)
	*cold = *cold || !resident
	e.cold.reading(p.Source, pos, take, !resident)
	return n + int(take), take == left, true
}

// sendfile moves one chunk on the loop's thread, as Kafka does. Unlike there, a range that is not resident is read by
// a worker of the kernel first: into a pipe, and the pipe thrown away. So the disk never stops the loop.
func (e *Engine) sendfile(f *Flow) {
	p := &f.parts[f.cur]
	pos := p.Pos + f.moved
	n := min(f.rangeLeft(), int64(e.config.ChunkBytes))
	if f.warm > 0 {
		n = min(n, int64(f.warm))
	} else if !e.resident(p.Source, pos, n) {
		e.fill(f)
		return
	}
	f.warm = 0 // by the next time the pages may be gone again
	sent := e.kernel.Sendfile(f.Socket, p.Source.Fd(), pos, int(n))
	switch {
	case sent > 0:
		f.retries = 0
		f.lastProgress = e.now
		f.advance(sent)
		e.Ledger.ByReference.Add(uint64(sent))
		if int64(sent) < n {
			e.poll(f)
			return
		}
		e.pump(f)
	case sent == 0:
		e.fail(f, fmt.Errorf("%w: nothing at %d", ErrShortFile, pos))
	case unix.Errno(-sent) == unix.EAGAIN:
		e.poll(f)
	case f.again(unix.Errno(-sent)):
		e.ready.push(f)
	default:
		e.fail(f, fmt.Errorf("transfer: writing to the subscriber: %w", unix.Errno(-sent)))
	}
}

// warmed takes the end of a read-ahead for sendfile: n bytes are in the pipe, and so in the page cache.
func (e *Engine) warmed(f *Flow, n int) {
	f.staged = n
	e.giveStage(f, true)
	f.warm = n
	e.pump(f)
}
