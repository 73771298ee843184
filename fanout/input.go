package fanout

import (
	"fmt"
	"time"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/wire"
	"oneplusn/ring"
)

// pauseReadBytes is how much a client may send ahead of the request that is being answered. Beyond it its socket is
// not read, so that TCP holds it back and not our memory.
const pauseReadBytes = 64 << 10

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

// pin keeps all frame bytes that the connection holds where they are, until as many unpins.
func (c *conn) pin() { c.in.pins++ }

// unpin takes one pin back. With the last, buffers go back to the pool, and a closing connection's slot may be freed.
func (c *conn) unpin() {
	in := &c.in
	if in.pins--; in.pins < 0 {
		panic(fmt.Sprintf("fanout: connection %d was unpinned more often than pinned", c.slot))
	}
	if in.pins > 0 {
		return
	}
	for i, old := range in.retired {
		c.broker.frames.give(old)
		in.retired[i] = lent{}
	}
	in.retired = in.retired[:0]
	if !in.held {
		c.trimLists()
	}
	c.rewind()
	if c.answered && c.state == connOpen {
		c.requestEnded()
	}
	c.freeIfIdle()
}

// enter moves the input's bytes to another buffer. The one that it leaves is given back.
func (c *conn) enter(into lent) {
	in := &c.in
	old := lent{in.buf, in.from}
	in.end = copy(into.bytes, in.pending())
	in.buf, in.from, in.start = into.bytes, into.from, 0
	if in.pins > 0 {
		in.retired = append(in.retired, old)
		return
	}
	c.broker.frames.give(old)
}

// rewind begins an empty input at the front of its buffer, and gives a large one back, or changes it for a small one.
func (c *conn) rewind() {
	in := &c.in
	if in.pins > 0 {
		return
	}
	if in.start == in.end {
		in.start, in.end = 0, 0
	}
	if in.from == c.broker.frames.connections || in.buf == nil || in.held || len(in.pending()) > keptFrameBytes {
		return
	}
	if in.start == in.end {
		c.broker.frames.give(in.takeBuffer())
		return
	}
	small, _ := c.broker.frames.take(c.broker.frames.connections, roundedUp(len(in.pending())))
	c.enter(small)
}

func (in *input) pending() []byte { return in.buf[in.start:in.end] }

// takeBuffer empties the input's buffer and hands it out, to be given back to the pool.
func (in *input) takeBuffer() lent {
	if in.pins > 0 || len(in.retired) > 0 {
		panic(fmt.Sprintf("fanout: a request buffer is given back with %d pins on it", in.pins))
	}
	l := lent{in.buf, in.from}
	in.buf, in.from, in.start, in.end, in.held = nil, nil, 0, 0, false
	return l
}

// onRecv takes a completion of the multishot recv.
func (b *Broker) onRecv(c *conn, completion ring.Completion) {
	if !completion.More() {
		c.recvArmed = false
	}
	if c.state != connOpen {
		b.releaseBuffer(completion)
		c.freeIfIdle()
		return
	}
	switch {
	case completion.Result > 0:
		c.lastActive = b.loop.Now()
		err := c.receive(b.loop.Kernel.Buffer(completion))
		b.releaseBuffer(completion)
		if err != nil {
			c.close(closedByMemory, err)
			return
		}
		c.serve()
	case completion.Result == 0:
		b.releaseBuffer(completion)
		c.close(closedByPeer, nil)
		return
	case !retryRecv(completion):
		c.close(closedByPeer, completion.Err())
		return
	}
	if c.state == connOpen && !c.recvArmed && !c.recvPaused {
		c.armRecv()
	}
}

// retryRecv says whether a recv that ended with an error is simply armed again: all provided buffers were in use, or it
// was cancelled because the client was ahead, or a signal came.
func retryRecv(c ring.Completion) bool {
	switch c.Err() {
	case enobufs, ecanceled, eintr, eagain:
		return true
	}
	return false
}

func (b *Broker) releaseBuffer(c ring.Completion) {
	if c.HasBuffer() {
		b.loop.Kernel.ReleaseBuffer(c)
	}
}

// receive copies received bytes to the connection's input. What a frame says about its size reserves nothing: the buffer
// grows with what has arrived. Where there is no room to grow, the bytes that have arrived are kept in the spill, no more
// are read, and the connection waits.
func (c *conn) receive(data []byte) error {
	in := &c.in
	if !in.begun() {
		in.began = c.broker.loop.Now()
	}
	if in.spill.empty() {
		if in.end+len(data) > len(in.buf) && !c.makeRoom(data) {
			return fmt.Errorf("fanout: the request under way cannot be read again after it was moved")
		}
		n := copy(in.buf[in.end:], data)
		in.end += n
		data = data[n:]
	}
	err := in.spill.add(&c.broker.frames, data)
	for err != nil && c.broker.closeLargest(c) {
		err = in.spill.add(&c.broker.frames, data)
	}
	return err
}

// begun says that there are bytes that have not been answered.
func (in *input) begun() bool { return in.start < in.end || !in.spill.empty() }

// makeRoom makes room for data, or for as much of it as there is memory for. It is false if the request under way cannot
// be read again at its new place.
func (c *conn) makeRoom(data []byte) bool {
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
		if len(in.buf) < keptFrameBytes && in.pins == 0 { // at least a small frame always gets on
			into, _ = c.broker.frames.take(c.broker.frames.connections, keptFrameBytes)
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
func (c *conn) lend(want, have int) (lent, bool) {
	m := &c.broker.frames
	if want <= keptFrameBytes && c.in.pins == 0 {
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
func (c *conn) moved() bool {
	return !c.in.held || c.handler.moved(c.in.buf[wire.FrameSizeBytes:c.in.firstFrame(c.broker.config.MaxRequestBytes)]) == nil
}

// unspill moves spilled bytes to the buffer, and says whether it moved any. The frame at the front must not be that of a
// request under way.
func (c *conn) unspill() bool {
	in := &c.in
	if in.spill.empty() {
		return false
	}
	if in.start > 0 && in.pins == 0 {
		in.end = copy(in.buf, in.pending())
		in.start = 0
	}
	n := in.spill.take(&c.broker.frames, in.buf[in.end:])
	in.end += n
	return n > 0
}

// frameWant is the size of the frame at the front of the input, if its size has been received and is allowed.
func (c *conn) frameWant(data []byte) int {
	var first [wire.FrameSizeBytes]byte
	n := copy(first[:], c.in.pending())
	n += copy(first[n:], data)
	size, ok, err := wire.FrameSize(first[:n], c.broker.config.MaxRequestBytes)
	if err != nil || !ok {
		return 0
	}
	return wire.FrameSizeBytes + size
}

// serve answers the requests in the input, one after the other, until one has to wait.
func (c *conn) serve() {
	if c.serving {
		return
	}
	c.serving = true
	for c.state == connOpen && !c.busy && !c.forRequest.waits() {
		pending := c.in.pending()
		size, ok, err := wire.FrameSize(pending, c.broker.config.MaxRequestBytes)
		if err != nil {
			c.close(closedByProtocol, err)
			break
		}
		if !ok || len(pending) < wire.FrameSizeBytes+size {
			if c.unspill() || c.grow() {
				continue
			}
			if !c.in.spill.empty() {
				c.awaitMemory(wire.FrameSizeBytes+size, 0)
			}
			break
		}
		again := c.needsRequest > 0
		c.busy, c.in.held, c.needsRequest = true, true, 0
		c.handler.request(pending[wire.FrameSizeBytes:wire.FrameSizeBytes+size], again)
	}
	c.serving = false
	c.throttleReading()
}

// grow moves an incomplete frame to a buffer with room for what was spilled, and says whether there was one.
func (c *conn) grow() bool {
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

// dropFrame drops the frame of the request under way: its answer is known. The client may take its time to read it.
func (c *conn) dropFrame() {
	in := &c.in
	if !in.held {
		return
	}
	size, _, _ := wire.FrameSize(in.pending(), c.broker.config.MaxRequestBytes)
	in.start += wire.FrameSizeBytes + size
	in.held, in.began = false, c.broker.loop.Now()
	c.handler.dropped()
	c.trimLists()
	c.rewind()
}

// requestDone ends the request under way: it was answered, or needs no answer.
func (c *conn) requestDone() {
	c.dropFrame()
	c.busy, c.answered = false, false
	c.handler.ended()
}

// throttleReading stops reading from a client that is far ahead or for whose bytes there is no room, and starts again
// when that has passed.
func (c *conn) throttleReading() {
	if c.state != connOpen {
		return
	}
	waiting := c.in.end - c.in.start
	hold := c.busy && waiting > pauseReadBytes && waiting > pauseReadBytes+c.frameWant(nil)
	hold = hold || !c.in.spill.empty() || c.forRequest.waits()
	switch {
	case hold && !c.recvPaused:
		c.recvPaused = true
		if c.recvArmed {
			c.cancels++
			c.broker.loop.Kernel.Queue(ring.CancelToken(c.token(kindCancel), c.token(kindRecv)))
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
