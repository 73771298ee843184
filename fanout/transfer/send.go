package transfer

import (
	"fmt"

	"oneplusn/ring"
	"oneplusn/segment/mark"
)

// send: [header, mapped range] --ring sendmsg--> socket. One copy, one operation.

// sendMapped queues one sendmsg of what comes next, headers and mapped ranges alike, up to the chunk size. Parts that
// follow in the same mode go with it, so that a response of small ranges is one operation. The ring itself waits while
// the socket is full, which holds no stage.
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
	op := ring.Sendmsg(f.Token.As(KindWrite), f.Socket, m.Message, 0)
	mark.HitIf(m.cold, "a send of pages that are not in the page cache went to a worker")
	op.Async = m.cold
	e.write(f, op, m.bytes, fromMap)
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

// addPart adds what is left of one part to the message, as far as there is room. It reports whether the
// message has all of the part. An error is one of the part's file.
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
	e.PageCache.NoteRead(p.Source, pos, take, !resident)
	return take == left, nil
}
