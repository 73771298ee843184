package transfer

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"oneplusn/ring"
)

// ErrReadSegment says that a range could not be read from its file. ErrShortFile is the case that the file ended before
// a range that was committed in it.
var (
	ErrReadSegment = errors.New("transfer: reading a segment failed")
	ErrShortFile   = fmt.Errorf("%w: it is shorter than what was committed in it", ErrReadSegment)
)

// begin readies the current part: the planner's choice is made once for each range.
func (e *Engine) begin(f *Flow) {
	p := &f.parts[f.cur]
	if p.Pos < 0 || p.Len < 0 || p.Len > 0 && (p.Source == nil || p.Pos+p.Len > p.Source.Size()) {
		panic(fmt.Sprintf("transfer: a range of %d bytes at %d is not of a segment's committed bytes", p.Len, p.Pos))
	}
	f.mode = e.pick(&f.parts[f.cur])
	f.warm = 0
}

// pump queues what the flow can do next. It is called whenever something about the flow has changed, and does nothing
// while the socket is busy.
func (e *Engine) pump(f *Flow) {
	for f.active && !f.aborted && !f.writing && !f.polling {
		if f.partDone() {
			e.giveStage(f, false)
			f.nextPart()
			if f.cur == len(f.parts) {
				e.finish(f)
				return
			}
			e.begin(f)
			continue
		}
		e.step(f)
		return
	}
}

// step queues the one next operation of the flow, and where the head and the first fill can go side by side, both.
func (e *Engine) step(f *Flow) {
	switch {
	case f.mode == Send:
		e.sendMapped(f)
	case len(f.headerLeft()) > 0:
		e.sendHeader(f)
		if f.rangeLeft() > 0 && (f.mode == Splice || f.mode == Copy) {
			e.fill(f)
		}
	case f.mode == Sendfile:
		if f.list == nil {
			e.ready.push(f)
		}
	case f.staged > 0:
		e.drain(f)
	default:
		e.fill(f)
	}
}

// write queues an operation on the flow's socket and remembers what it is, for the ledger.
func (e *Engine) write(f *Flow, op ring.Op, from origin) {
	if op.Len == 0 && op.Code != ring.OpSendmsg {
		panic("transfer: an operation of no bytes would be queued again and again")
	}
	f.writing = true
	f.writeCode, f.writeOrigin = op.Code, from
	e.kernel.Queue(op)
}

// sendHeader sends header bytes. The ring itself waits while the socket is full. MSG_MORE joins them with the range that
// follows; a response's last bytes go without it.
func (e *Engine) sendHeader(f *Flow) {
	flags := uint32(unix.MSG_WAITALL)
	if f.rangeLeft() > 0 || f.cur+1 < len(f.parts) {
		flags |= unix.MSG_MORE
	}
	e.write(f, ring.Send(f.Token.As(KindWrite), f.Socket, f.headerLeft(), flags), fromMemory)
}

// fill queues the next piece of the range into the stage, once there is one.
func (e *Engine) fill(f *Flow) {
	if f.filling || f.staged > 0 || f.list != nil {
		return
	}
	p := e.poolOf(f)
	if f.stage == nil {
		if p.waiters.n == 0 {
			f.stage = p.take()
		}
		if f.stage == nil {
			p.waiters.push(f)
			return
		}
	}
	part := &f.parts[f.cur]
	n := int(min(f.rangeLeft(), int64(e.config.ChunkBytes)))
	pos := part.Pos + f.moved
	f.filling = true
	cold := e.cold.on() && !e.resident(part.Source, pos, int64(n))
	t := f.Token.As(KindFill)
	if f.mode == Copy {
		e.kernel.Queue(ring.Read(t, part.Source.Fd(), f.stage.buf[:n], pos))
	} else {
		e.kernel.Queue(ring.SpliceFromFile(t, part.Source.Fd(), pos, f.stage.pipe.W, uint32(n)))
	}
	f.coldFrom, f.coldTo = e.cold.reading(part.Source, pos, int64(n), cold)
}

// arrived tells the cold cache what a fill has brought into the page cache, whether anybody wants it still or not.
func (e *Engine) arrived(f *Flow, c ring.Completion) {
	if c.Result <= 0 || f.coldTo == 0 {
		return
	}
	part := &f.parts[f.cur]
	if to := min(f.coldTo, part.Pos+f.moved+int64(c.Result)); to > f.coldFrom {
		e.cold.arrived(part.Source, f.coldFrom, to-f.coldFrom)
	}
}

// filled takes the result of a fill.
func (e *Engine) filled(f *Flow, c ring.Completion) {
	switch {
	case c.Result > 0 && f.mode == Sendfile:
		e.warmed(f, int(c.Result))
		return
	case c.Result > 0:
		f.staged, f.drained, f.retries = int(c.Result), 0, 0
		if f.mode == Copy {
			e.Ledger.countOp(ring.OpRead, fromMemory, int(c.Result), 0)
		}
	case c.Result == 0:
		e.fail(f, fmt.Errorf("%w: nothing at %d", ErrShortFile, f.parts[f.cur].Pos+f.moved))
		return
	case !f.again(c.Err()):
		e.fail(f, fmt.Errorf("%w: at %d: %w", ErrReadSegment, f.parts[f.cur].Pos+f.moved, c.Err()))
		return
	}
	e.pump(f)
}

// drain queues the stage's bytes to the socket. It never waits in the kernel: a full socket is polled, so that the
// stage can be taken away meanwhile.
func (e *Engine) drain(f *Flow) {
	t := f.Token.As(KindWrite)
	if f.mode == Copy {
		bytes := f.stage.buf[f.drained : f.drained+f.staged]
		e.write(f, ring.Send(t, f.Socket, bytes, unix.MSG_DONTWAIT), fromBuffer)
		return
	}
	e.write(f, ring.SpliceToSocket(t, f.stage.pipe.R, f.Socket, uint32(f.staged), 0), fromPipe)
}

// wrote takes the result of an operation on the socket.
func (e *Engine) wrote(f *Flow, c ring.Completion) {
	n := int(c.Result)
	switch {
	case n < 0:
		e.writeFailed(f, c)
		return
	case n == 0: // no operation is of no bytes
		if f.retries++; f.retries > maxRetries {
			e.fail(f, errors.New("transfer: the socket takes nothing and does not say why"))
			return
		}
		e.pump(f)
		return
	}
	f.retries = 0
	f.lastProgress = e.now
	staged := f.writeOrigin == fromPipe || f.writeOrigin == fromBuffer
	headers := f.advance(n)
	e.Ledger.countOp(f.writeCode, f.writeOrigin, n, headers)
	if staged {
		f.staged -= n
		f.drained += n
		if f.staged > 0 { // a short count: the socket is full
			e.poll(f)
			return
		}
		if e.poolOf(f).waiters.n > 0 {
			e.giveStage(f, false)
		}
	}
	e.pump(f)
}

func (e *Engine) writeFailed(f *Flow, c ring.Completion) {
	switch errno := c.Err(); {
	case errno == unix.EAGAIN && f.writeOrigin != fromMemory && f.writeOrigin != fromMap:
		e.poll(f)
	case f.again(errno):
		e.pump(f)
	default:
		e.fail(f, fmt.Errorf("transfer: writing to the subscriber: %w", errno))
	}
}

// poll waits until the socket takes more. From here on the flow's stage may be taken by another.
func (e *Engine) poll(f *Flow) {
	f.polling = true
	e.kernel.Queue(ring.Poll(f.Token.As(KindPoll), f.Socket, unix.POLLOUT))
	if f.stage != nil && f.list == nil {
		e.poolOf(f).stalled.push(f)
	}
}
