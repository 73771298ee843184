package conn

import (
	"fmt"
	"time"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/wire"
	"oneplusn/ring"
)

// PauseReadBytes is how much a client may send ahead of the request that is being answered. Beyond it its socket is
// not read, so that TCP holds it back and not our memory.
const PauseReadBytes = 64 << 10

// input is what a connection has received and not yet answered: frame bytes in a lent buffer, from start to end, and behind
// them what did not fit while there was no room for a larger one.
//
// Bytes of a frame that are read off the loop (a write of the log, the check of a batch) are pinned: until they are
// unpinned they neither move nor are overwritten, and their buffer stays charged, though the request may have been
// answered and the connection closed meanwhile.
type input struct {
	buf        []byte
	from       *budget.Budget // what buf is charged to
	start, end int
	// held says that the first frame is that of the request under way.
	held    bool
	spill   spill
	pins    int
	retired []lent // buffers that the input has left while bytes in them were pinned
	// began is when the first byte of the frame at the front came, or was met behind another frame.
	began time.Duration
}

// Pin keeps all frame bytes that the connection holds where they are, until as many unpins. A request that has its answer
// ends with the last.
func (c *Conn) Pin() {
	c.mustBeTaken("a pin")
	c.in.pins++
}

// Unpin takes one pin back. With the last, buffers go back to the pool, and a closing connection's slot may be freed.
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
	if c.request == answered && c.state == open {
		c.end()
	}
	c.freeIfIdle()
}

// enter moves the input's bytes to another buffer. The one that it leaves is given back.
func (c *Conn) enter(into lent) {
	in := &c.in
	old := lent{in.buf, in.from}
	in.end = copy(into.bytes, in.pending())
	in.buf, in.from, in.start = into.bytes, into.from, 0
	if in.pins > 0 {
		in.retired = append(in.retired, old)
		return
	}
	c.table.requests.give(old)
}

// rewind begins an empty input at the front of its buffer, and gives a large one back, or changes it for a small one.
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
	small, _ := c.table.requests.take(c.table.requests.connections, roundedUp(len(in.pending())))
	c.enter(small)
}

func (in *input) pending() []byte { return in.buf[in.start:in.end] }

// takeBuffer empties the input's buffer and hands it out, to be given back to the pool.
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
			c.Close(ByMemory, err)
			return
		}
		c.serve()
	case completion.Result == 0:
		c.table.releaseBuffer(completion)
		c.Close(ByPeer, nil)
		return
	case !retryRecv(completion.Err()):
		c.Close(ByPeer, completion.Err())
		return
	}
	if c.state == open && !c.recvArmed && !c.recvPaused {
		c.armRecv()
	}
}

// receive copies received bytes to the connection's input. What a frame says about its size reserves nothing: the buffer
// grows with what has arrived. Where there is no room to grow, the bytes that have arrived are kept in the spill, no more
// are read, and the connection waits.
func (c *Conn) receive(data []byte) error {
	in := &c.in
	if !in.begun() {
		in.began = c.table.loop.Now()
	}
	if in.spill.empty() {
		if in.end+len(data) > len(in.buf) && !c.makeRoom(data) {
			return fmt.Errorf("fanout: the request under way cannot be read again after it was moved")
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

// begun says that there are bytes that have not been answered.
func (in *input) begun() bool { return in.start < in.end || !in.spill.empty() }

// makeRoom makes room for data, or for as much of it as there is memory for. It is false if the request under way cannot
// be read again at its new place.
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
		if len(in.buf) < KeptFrameBytes && in.pins == 0 { // at least a small frame always gets on
			into, _ = c.table.requests.take(c.table.requests.connections, KeptFrameBytes)
			c.enter(into)
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

// lend lends a buffer of want bytes, or of as many as there is room for: enough that bytes are not moved for every few
// that arrive.
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

// moved reads the request under way again if its frame was moved.
func (c *Conn) moved() bool {
	return !c.in.held || c.handler.FrameMoved(c.in.buf[wire.FrameSizeBytes:c.in.firstFrame(c.table.config.MaxRequestBytes)]) == nil
}

// unspill moves spilled bytes to the buffer, and says whether it moved any. The frame at the front must not be that of a
// request under way.
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

// frameWant is the size of the frame at the front of the input, if its size has been received and is allowed.
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

// grow moves an incomplete frame to a buffer with room for what was spilled, and says whether there was one.
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

// throttleReading stops reading from a client that is far ahead or for whose bytes there is no room, and starts again
// when that has passed.
func (c *Conn) throttleReading() {
	if c.state != open {
		return
	}
	waiting := c.in.end - c.in.start
	hold := c.request != none && waiting > PauseReadBytes && waiting > PauseReadBytes+c.frameWant(nil)
	hold = hold || !c.in.spill.empty() || c.forRequest.Linked()
	switch {
	case hold && !c.recvPaused:
		c.recvPaused = true
		if c.recvArmed {
			c.cancels++
			c.table.loop.Kernel.Queue(ring.CancelToken(c.token.As(KindCancel), c.token.As(KindRecv)))
		}
	case !hold && c.recvPaused:
		c.recvPaused = false
		if !c.recvArmed {
			c.armRecv()
		}
	}
}

// firstFrame is where the first frame ends. It must have been received whole.
func (in *input) firstFrame(maxBytes int32) int {
	size, _, _ := wire.FrameSize(in.pending(), maxBytes)
	return in.start + wire.FrameSizeBytes + size
}
