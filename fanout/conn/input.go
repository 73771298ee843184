package conn

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/wire"
	"oneplusn/ring"
	"oneplusn/segment/mark"
)

// PauseReadBytes is how much a client may send ahead of the request under way. Beyond that we stop reading its socket, and TCP
// flow control stops the client.
const PauseReadBytes = 64 << 10

// input holds received bytes that are not answered yet: frames in a borrowed buffer, from start to end, then the spill, which
// takes what arrives while there is no memory for a larger buffer.
//
// A frame is pinned while other threads read it (a write of the log, the check of a batch): its bytes neither move nor change,
// and their buffer stays charged, even if the request is answered and the connection closed meanwhile.
type input struct {
	buf        []byte
	from       *budget.Budget // what buf is charged to
	start, end int
	// held: the first frame is that of the request under way.
	held    bool
	spill   spill
	pins    int
	retired []lent // pinned buffers that the input has moved out of
	// began is when the frame at the front began: its first byte came, or the frame before it was answered.
	began time.Duration
}

// Pin keeps all frame bytes where they are, until as many Unpins. An answered request ends with the last of these.
func (c *Conn) Pin() {
	c.mustBeTaken("a pin")
	c.in.pins++
}

// Unpin takes one pin back. The last one gives buffers back to the pool and may free a closing connection's slot.
func (c *Conn) Unpin() {
	in := &c.in
	if in.pins--; in.pins < 0 {
		panic(fmt.Sprintf("conn: connection %v was unpinned more often than pinned", c.token))
	}
	if in.pins > 0 {
		return
	}
	for i, old := range in.retired {
		c.table.requests.give(old)
		in.retired[i] = lent{}
	}
	in.retired = in.retired[:0]
	if !in.held {
		c.trimLists()
	}
	c.rewind()
	mark.HitIf(c.state == closing, "a client left while its batches were read off the loop")
	if c.request == answered && c.state == open {
		c.end()
	}
	c.freeIfIdle()
}

// enter moves the input to another buffer and gives the old one back.
func (c *Conn) enter(into lent) {
	in := &c.in
	old := lent{in.buf, in.from}
	in.end = copy(into.bytes, in.pending())
	in.buf, in.from, in.start = into.bytes, into.from, 0
	if in.pins > 0 {
		mark.Hit("a frame moved while its batches were read off the loop")
		in.retired = append(in.retired, old)
		return
	}
	c.table.requests.give(old)
}

// rewind reuses an empty buffer from its front, and exchanges a large buffer for a small one, or for none.
func (c *Conn) rewind() {
	in := &c.in
	if in.pins > 0 {
		return
	}
	if in.start == in.end {
		in.start, in.end = 0, 0
	}
	if in.from == c.table.requests.connections || in.buf == nil || in.held || len(in.pending()) > KeptFrameBytes {
		return
	}
	if in.start == in.end {
		c.table.requests.give(in.takeBuffer())
		return
	}
	c.enter(c.table.requests.takeOwn(roundedUp(len(in.pending()))))
}

func (in *input) pending() []byte { return in.buf[in.start:in.end] }

// takeBuffer empties the input and returns its buffer, for the pool.
func (in *input) takeBuffer() lent {
	if in.pins > 0 || len(in.retired) > 0 {
		panic(fmt.Sprintf("conn: a request buffer is given back with %d pins on it", in.pins))
	}
	l := lent{in.buf, in.from}
	in.buf, in.from, in.start, in.end, in.held = nil, nil, 0, 0, false
	return l
}

// onRecv takes a completion of the multishot recv.
func (c *Conn) onRecv(completion ring.Completion) {
	if !completion.More() {
		c.recvArmed = false
		mark.HitIf(completion.Result > 0, "a multishot receive ended although its client goes on")
	}
	if c.state != open {
		c.table.releaseBuffer(completion)
		c.freeIfIdle()
		return
	}
	switch {
	case completion.Result > 0:
		c.lastActive = c.table.loop.Now()
		err := c.receive(c.table.loop.Kernel.Buffer(completion))
		c.table.releaseBuffer(completion)
		if err != nil {
			mark.Hit("nothing was left to keep what a client had sent")
			c.Close(ByMemory, err)
			return
		}
		c.serve()
	case completion.Result == 0:
		mark.HitIf(c.request != none, "a client closed its side while its request was under way")
		c.table.releaseBuffer(completion)
		c.Close(ByPeer, nil)
		return
	case completion.Err() != unix.ENOBUFS && !ring.Interrupted(completion.Err()): // all provided buffers in use, or we cancelled it
		c.Close(ByPeer, completion.Err())
		return
	}
	mark.HitIf(completion.Err() == unix.ENOBUFS, "all buffers to receive into were in use")
	if c.state == open && !c.recvArmed && !c.recvPaused {
		c.armRecv()
	}
}

// receive copies received bytes to the input. The size that a frame announces reserves nothing: the buffer grows with what has
// arrived. If it cannot grow, the bytes go to the spill, the socket is not read any more, and the connection waits.
func (c *Conn) receive(data []byte) error {
	in := &c.in
	if !in.begun() {
		in.began = c.table.loop.Now()
	}
	if in.spill.empty() {
		if in.end+len(data) > len(in.buf) && !c.makeRoom(data) {
			return errors.New("the request under way cannot be read again after it was moved")
		}
		n := copy(in.buf[in.end:], data)
		in.end += n
		data = data[n:]
	}
	err := in.spill.add(&c.table.requests, data)
	for err != nil && c.table.closeLargest(c) {
		err = in.spill.add(&c.table.requests, data)
	}
	return err
}

func (in *input) begun() bool { return in.start < in.end || !in.spill.empty() }

// makeRoom makes room for data, or for as much of it as there is memory for. It reports false if the request under way
// cannot be parsed at its new place.
func (c *Conn) makeRoom(data []byte) bool {
	in := &c.in
	have := in.end - in.start + len(data)
	want := have
	if frame := c.frameWant(data); frame > have {
		want = min(frame, frameGrowth*have)
	}
	if have > len(in.buf) || in.pins > 0 {
		into, ok := c.lend(want, have)
		if ok {
			c.enter(into)
			return c.moved()
		}
		if len(in.buf) < KeptFrameBytes && in.pins == 0 { // there is always memory for a small frame
			c.enter(c.table.requests.takeOwn(KeptFrameBytes))
			return c.moved()
		}
	}
	if in.pins > 0 || in.start == 0 {
		return true
	}
	in.end = copy(in.buf, in.pending())
	in.start = 0
	return c.moved()
}

// lend lends a buffer of want bytes, or of twice what there is: a smaller step would copy the input for every few bytes.
func (c *Conn) lend(want, have int) (lent, bool) {
	m := &c.table.requests
	if want <= KeptFrameBytes && c.in.pins == 0 {
		return m.take(m.connections, roundedUp(want))
	}
	room := m.lineOf(max(want, c.frameWant(nil))).room
	l, ok := m.takeRounded(room, want)
	if !ok && want > 2*have {
		l, ok = m.takeRounded(room, 2*have)
	}
	return l, ok
}

// moved has the request under way parsed again at its new place.
func (c *Conn) moved() bool {
	return !c.in.held || c.handler.FrameMoved(c.in.buf[wire.FrameSizeBytes:c.in.firstFrame(c.table.config.MaxRequestBytes)]) == nil
}

// unspill moves spilled bytes to the buffer and reports whether it moved any. No request may be under way.
func (c *Conn) unspill() bool {
	in := &c.in
	if in.spill.empty() {
		return false
	}
	if in.start > 0 && in.pins == 0 {
		in.end = copy(in.buf, in.pending())
		in.start = 0
	}
	n := in.spill.take(&c.table.requests, in.buf[in.end:])
	in.end += n
	return n > 0
}

// frameWant is the size of the frame at the front, with data behind the input; 0 if it is unknown so far, or not allowed.
func (c *Conn) frameWant(data []byte) int {
	var first [wire.FrameSizeBytes]byte
	n := copy(first[:], c.in.pending())
	n += copy(first[n:], data)
	size, ok, err := wire.FrameSize(first[:n], c.table.config.MaxRequestBytes)
	if err != nil || !ok {
		return 0
	}
	return wire.FrameSizeBytes + size
}

// grow moves an incomplete frame and the spill to a larger buffer, and reports whether there was memory for one.
func (c *Conn) grow() bool {
	if c.in.spill.empty() {
		return false
	}
	frame, have := c.frameWant(nil), len(c.in.pending())+c.in.spill.len()
	into, ok := c.lend(min(max(frame, have), frameGrowth*have), have)
	if ok {
		c.enter(into)
		c.unspill()
	}
	return ok
}

// throttleReading pauses the recv while the client is far ahead or its bytes have no room.
func (c *Conn) throttleReading() {
	if c.state != open {
		return
	}
	waiting := c.in.end - c.in.start
	hold := c.request != none && waiting > PauseReadBytes && waiting > PauseReadBytes+c.frameWant(nil)
	hold = hold || !c.in.spill.empty() || c.forRequest.Linked()
	switch {
	case hold && !c.recvPaused:
		mark.Hit("a client that sends far ahead was not read for a while")
		c.recvPaused = true
		if c.recvArmed {
			c.cancels++
			c.table.loop.Kernel.Queue(ring.CancelToken(c.token.As(KindCancel), c.token.As(KindRecv)))
		}
	case !hold && c.recvPaused:
		c.recvPaused = false
		mark.HitIf(c.recvArmed, "a client was read again before its receive had been cancelled")
		if !c.recvArmed {
			c.armRecv()
		}
	}
}

// firstFrame is where the first frame ends, which is whole.
func (in *input) firstFrame(maxBytes int32) int {
	size, _, _ := wire.FrameSize(in.pending(), maxBytes)
	return in.start + wire.FrameSizeBytes + size
}
