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
	f.Message.Reset()
	m := message{Message: f.Message, room: e.config.ChunkBytes}
	headerSent, moved := f.headerSent, f.moved
	for i := f.cur; i < len(f.parts) && m.room > 0; i++ {
		p := &f.parts[i]
		if i > f.cur && e.pick(p) != Send {
			break
		}
		whole, err := e.addPart(&m, p, headerSent, moved)
		if err != nil && m.bytes == 0 {
			e.fail(f, err)
			return
		}
		if !whole {
			break
		}
		headerSent, moved = 0, 0
	}
	if m.bytes == 0 {
		panic("transfer: an empty message would be sent again and again")
	}
	op := ring.Sendmsg(f.Token.As(KindWrite), f.Socket, m.Message, 0)
	op.Async = m.cold
	e.write(f, op, fromMap)
}

// message is one sendmsg as it is put together.
type message struct {
	*ring.Message
	room, bytes int // bytes that may still be added, and that were
	cold        bool
}

// add adds a piece. It reports false when the message has no place for another.
func (m *message) add(piece []byte) bool {
	if !m.Add(piece) {
		return false
	}
	m.bytes += len(piece)
	m.room -= len(piece)
	return true
}

// addPart adds what is left of one part to the message, as far as there is room. It says whether the part is whole then. An
// error is one of the part's file.
func (e *Engine) addPart(m *message, p *Part, headerSent int, moved int64) (whole bool, err error) {
	// A header is never cut: it is small, and room only bounds the loop's time.
	if header := p.Header[headerSent:]; len(header) > 0 && !m.add(header) {
		return false, nil
	}
	left := p.Len - moved
	if p.Source == nil || left == 0 {
		return true, nil
	}
	mapped, err := p.Source.Map()
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrReadSegment, err)
	}
	take, pos := min(left, int64(max(m.room, 1))), p.Pos+moved
	if pos+take > int64(len(mapped)) {
		return false, fmt.Errorf("%w: %d bytes at %d are to be sent, %d are mapped", ErrShortFile, take, pos, len(mapped))
	}
	if !m.add(mapped[pos : pos+take]) {
		return false, nil
	}
	resident := e.resident(p.Source, pos, take)
	m.cold = m.cold || !resident
	e.cold.reading(p.Source, pos, take, !resident)
	return take == left, nil
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
