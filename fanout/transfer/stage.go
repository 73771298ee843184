package transfer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"oneplusn/ring"
	"oneplusn/segment/mark"
)

// What splice and copy have in common, and sendfile in part: a range goes through a stage.
//
//	          fill (file --> stage)                 drain (stage --> socket)
//	empty ---------------------------> staged > 0 ---------------------------> empty
//	                                     ^   |  short: the socket is full
//	                                     |   v
//	                                    stalled, polling ---reclaimed---> no stage; fill again from the file

// stage is a stop between a file and a socket: a pipe, or a buffer outside the Go heap.
type stage struct {
	pool *pool
	idle bool // in the pool
	pipe ring.Pipe
	buf  []byte
}

// capacity is the most bytes that the stage can hold.
func (s *stage) capacity() int {
	if s.buf != nil {
		return len(s.buf)
	}
	return s.pipe.Slots * unix.Getpagesize()
}

// stepStaged sends the header and fills the stage side by side, then alternates between draining and filling the stage.
func (e *Engine) stepStaged(f *Flow) {
	switch {
	case len(f.headerLeft()) > 0:
		e.sendHeader(f)
		if f.rangeLeft() > 0 {
			e.fill(f)
		}
	case f.staged > 0:
		e.methods[f.mode].drain(f)
	default:
		e.fill(f)
	}
}

// fill queues the next piece of the range into the stage, once there is one.
func (e *Engine) fill(f *Flow) {
	if f.filling || f.staged > 0 || f.node.Linked() {
		return
	}
	m := &e.methods[f.mode]
	if f.stage == nil {
		if m.pool.waiters.Len() == 0 {
			f.stage = m.pool.take()
		}
		if f.stage == nil {
			mark.Hit("a response waited for a pipe or buffer")
			m.pool.waiters.PushBack(&f.node, f)
			return
		}
	}
	part := &f.parts[f.cur]
	n := min(f.rangeLeft(), int64(e.config.ChunkBytes))
	pos := part.Pos + f.moved
	f.filling, f.fillBytes = true, int(n)
	cold := e.PageCache.On() && !e.resident(part.Source, pos, n)
	e.kernel.Queue(m.fill(f, part.Source.Fd(), pos, int(n)))
	f.coldFrom, f.coldTo = e.PageCache.NoteRead(part.Source, pos, n, cold)
}

// arrived tells the page cache what a fill has brought into it, also for a flow that has been aborted since.
func (e *Engine) arrived(f *Flow, c ring.Completion) {
	if c.Result <= 0 || f.coldTo == 0 {
		return
	}
	part := &f.parts[f.cur]
	if to := min(f.coldTo, part.Pos+f.moved+int64(c.Result)); to > f.coldFrom {
		e.PageCache.Arrived(part.Source, f.coldFrom, to-f.coldFrom)
	}
}

// filled takes the result of a fill.
func (e *Engine) filled(f *Flow, c ring.Completion) {
	switch n, pos := int(c.Result), f.parts[f.cur].Pos+f.moved; {
	case n > f.fillBytes || n > f.stage.capacity():
		panic(fmt.Sprintf("transfer: a fill of %d bytes brought %d into a stage of %d", f.fillBytes, n, f.stage.capacity()))
	case n > 0:
		mark.HitIf(n < f.fillBytes, "a pipe or buffer was filled with less than was asked for")
		e.methods[f.mode].filled(f, n)
	case n == 0:
		e.fail(f, fmt.Errorf("%w: nothing at %d", ErrShortFile, pos))
	case f.mayRetry(c.Err()):
		mark.Hit("the fill of a pipe or buffer was interrupted")
		e.step(f)
	default:
		e.fail(f, fmt.Errorf("%w: at %d: %w", ErrReadSegment, pos, c.Err()))
	}
}

// staged goes on with n bytes in the stage.
func (e *Engine) staged(f *Flow, n int) {
	f.staged, f.drained, f.retries = n, 0, 0
	e.step(f)
}

// drained takes n bytes off the stage. It reports false if the socket is full and the rest has to wait.
func (e *Engine) drained(f *Flow, n int) bool {
	f.staged -= n
	f.drained += n
	switch {
	case f.staged < 0:
		panic(fmt.Sprintf("transfer: %d bytes left a stage that held %d", n, f.staged+n))
	case f.staged > 0: // a short count: the socket is full
		mark.Hit("a pipe or buffer kept a rest that the socket did not take")
		e.poll(f)
		return false
	case f.stage.pool.waiters.Len() > 0:
		mark.Hit("an empty pipe or buffer was passed on to a response that waits")
		e.giveStage(f, false)
	}
	return true
}

// giveStage returns the flow's stage, if it has one, to its pool. dirty: it may hold bytes.
func (e *Engine) giveStage(f *Flow, dirty bool) {
	if f.stage == nil {
		return
	}
	if f.filling || f.writing && f.writeOrigin.staged() {
		panic(fmt.Sprintf("transfer: the stage of %v is given back while the kernel uses it", f.Token))
	}
	f.stage.pool.give(f.stage, dirty || f.staged > 0)
	f.stage, f.staged = nil, 0
}

func (e *Engine) serveWaiters(p *pool) {
	for p.waiters.Len() > 0 {
		s := p.take()
		if s == nil {
			return
		}
		f := pop(&p.waiters)
		f.stage = s
		e.fill(f)
	}
}
