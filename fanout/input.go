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
func (b *Broker) unpin(c *conn) {
	in := &c.in
	if in.pins--; in.pins < 0 {
		panic(fmt.Sprintf("fanout: connection %d was unpinned more often than pinned", c.slot))
	}
	if in.pins > 0 {
		return
	}
	for i, old := range in.retired {
		b.frames.give(old)
		in.retired[i] = lent{}
	}
	in.retired = in.retired[:0]
	b.rewind(c)
	b.freeIfIdle(c)
}

// enter moves the input's bytes to another buffer. The one that it leaves is given back.
func (b *Broker) enter(c *conn, into lent) {
	in := &c.in
	old := lent{in.buf, in.from}
	in.end = copy(into.bytes, in.pending())
	in.buf, in.from, in.start = into.bytes, into.from, 0
	if in.pins > 0 {
		in.retired = append(in.retired, old)
		return
	}
	b.frames.give(old)
}

// rewind begins an empty input at the front of its buffer, and gives a large one back, or changes it for a small one.
func (b *Broker) rewind(c *conn) {
	in := &c.in
	if in.pins > 0 {
		return
	}
	if in.start == in.end {
		in.start, in.end = 0, 0
	}
	if in.from == b.frames.connections || in.buf == nil || in.held || len(in.pending()) > keptFrameBytes {
		return
	}
	if in.start == in.end {
		b.frames.give(in.takeBuffer())
		return
	}
	small, _ := b.frames.take(b.frames.connections, roundedUp(len(in.pending())))
	b.enter(c, small)
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
		b.freeIfIdle(c)
		return
	}
	switch {
	case completion.Result > 0:
		c.lastActive = b.loop.Now()
		err := b.receive(c, b.loop.Kernel.Buffer(completion))
		b.releaseBuffer(completion)
		if err != nil {
			b.closeConn(c, closedByMemory, err)
			return
		}
		b.serve(c)
	case completion.Result == 0:
		b.releaseBuffer(completion)
		b.closeConn(c, closedByPeer, nil)
		return
	case !retryRecv(completion):
		b.closeConn(c, closedByPeer, completion.Err())
		return
	}
	if c.state == connOpen && !c.recvArmed && !c.recvPaused {
		b.armRecv(c)
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
func (b *Broker) receive(c *conn, data []byte) error {
	in := &c.in
	if !in.begun() {
		in.began = b.loop.Now()
	}
	if in.spill.empty() {
		if in.end+len(data) > len(in.buf) && !b.makeRoom(c, data) {
			return fmt.Errorf("fanout: the request under way cannot be read again after it was moved")
		}
		n := copy(in.buf[in.end:], data)
		in.end += n
		data = data[n:]
	}
	err := in.spill.add(&b.frames, data)
	for err != nil && b.closeLargest(c) {
		err = in.spill.add(&b.frames, data)
	}
	return err
}

// begun says that there are bytes that have not been answered.
func (in *input) begun() bool { return in.start < in.end || !in.spill.empty() }

// makeRoom makes room for data, or for as much of it as there is memory for. It is false if the request under way cannot
// be read again at its new place.
func (b *Broker) makeRoom(c *conn, data []byte) bool {
	in := &c.in
	have := in.end - in.start + len(data)
	want := have
	if frame := b.frameWant(c, data); frame > have {
		want = min(frame, frameGrowth*have)
	}
	if have > len(in.buf) || in.pins > 0 {
		into, ok := b.lend(c, want, have)
		if ok {
			b.enter(c, into)
			return b.moved(c)
		}
		if len(in.buf) < keptFrameBytes && in.pins == 0 { // at least a small frame always gets on
			into, _ = b.frames.take(b.frames.connections, keptFrameBytes)
			b.enter(c, into)
			return b.moved(c)
		}
	}
	if in.pins > 0 || in.start == 0 {
		return true
	}
	in.end = copy(in.buf, in.pending())
	in.start = 0
	return b.moved(c)
}

// lend lends a buffer of want bytes, or of as many as there is room for: enough that bytes are not moved for every few
// that arrive.
func (b *Broker) lend(c *conn, want, have int) (lent, bool) {
	m := &b.frames
	if want <= keptFrameBytes && c.in.pins == 0 {
		return m.take(m.connections, roundedUp(want))
	}
	room := m.lineOf(max(want, b.frameWant(c, nil))).room
	l, ok := m.takeRounded(room, want)
	if !ok && want > 2*have {
		l, ok = m.takeRounded(room, 2*have)
	}
	return l, ok
}

// moved reads the request under way again if its frame was moved.
func (b *Broker) moved(c *conn) bool { return !c.in.held || b.reparse(c) == nil }

// unspill moves spilled bytes to the buffer, and says whether it moved any. The frame at the front must not be that of a
// request under way.
func (b *Broker) unspill(c *conn) bool {
	in := &c.in
	if in.spill.empty() {
		return false
	}
	if in.start > 0 && in.pins == 0 {
		in.end = copy(in.buf, in.pending())
		in.start = 0
	}
	n := in.spill.take(&b.frames, in.buf[in.end:])
	in.end += n
	return n > 0
}

// frameWant is the size of the frame at the front of the input, if its size has been received and is allowed.
func (b *Broker) frameWant(c *conn, data []byte) int {
	var first [wire.FrameSizeBytes]byte
	n := copy(first[:], c.in.pending())
	n += copy(first[n:], data)
	size, ok, err := wire.FrameSize(first[:n], b.config.MaxRequestBytes)
	if err != nil || !ok {
		return 0
	}
	return wire.FrameSizeBytes + size
}

// serve answers the requests in the input, one after the other, until one has to wait.
func (b *Broker) serve(c *conn) {
	for c.state == connOpen && !c.busy && !c.forRequest.waits() {
		pending := c.in.pending()
		size, ok, err := wire.FrameSize(pending, b.config.MaxRequestBytes)
		if err != nil {
			b.closeConn(c, closedByProtocol, err)
			return
		}
		if !ok || len(pending) < wire.FrameSizeBytes+size {
			if b.unspill(c) || b.grow(c) {
				continue
			}
			if !c.in.spill.empty() {
				b.awaitMemory(c, wire.FrameSizeBytes+size, 0)
			}
			break
		}
		b.request(c, pending[wire.FrameSizeBytes:wire.FrameSizeBytes+size])
	}
	b.throttleReading(c)
}

// grow moves an incomplete frame to a buffer with room for what was spilled, and says whether there was one.
func (b *Broker) grow(c *conn) bool {
	if c.in.spill.empty() {
		return false
	}
	frame, have := b.frameWant(c, nil), len(c.in.pending())+c.in.spill.len()
	into, ok := b.lend(c, min(max(frame, have), frameGrowth*have), have)
	if ok {
		b.enter(c, into)
		b.unspill(c)
	}
	return ok
}

// dropFrame drops the frame of the request under way: its answer is known. The client may take its time to read it.
func (b *Broker) dropFrame(c *conn) {
	in := &c.in
	if !in.held {
		return
	}
	size, _, _ := wire.FrameSize(in.pending(), b.config.MaxRequestBytes)
	in.start += wire.FrameSizeBytes + size
	in.held, in.began = false, b.loop.Now()
	c.header.ClientID, c.header.Body = nil, nil
	b.trimLists(c)
	b.rewind(c)
}

// requestDone ends the request under way: it was answered, or needs no answer.
func (b *Broker) requestDone(c *conn) {
	b.dropFrame(c)
	if c.producing.ended {
		c.producing.ended = false
		b.trimLists(c)
	}
	c.busy = false
	b.counters.requestSeconds(c.header.Key, b.loop.Now()-c.startedAt)
}

// throttleReading stops reading from a client that is far ahead or for whose bytes there is no room, and starts again
// when that has passed.
func (b *Broker) throttleReading(c *conn) {
	if c.state != connOpen {
		return
	}
	waiting := c.in.end - c.in.start
	hold := c.busy && waiting > pauseReadBytes && waiting > pauseReadBytes+b.frameWant(c, nil)
	hold = hold || !c.in.spill.empty() || c.forRequest.waits()
	switch {
	case hold && !c.recvPaused:
		c.recvPaused = true
		if c.recvArmed {
			c.cancels++
			b.loop.Kernel.Queue(ring.CancelToken(b.token(c, kindCancel), b.token(c, kindRecv)))
		}
	case !hold && c.recvPaused:
		c.recvPaused = false
		if !c.recvArmed {
			b.armRecv(c)
		}
	}
}

// firstFrame is where the first frame ends. It must have been received whole.
func (in *input) firstFrame(maxBytes int32) int {
	size, _, _ := wire.FrameSize(in.pending(), maxBytes)
	return in.start + wire.FrameSizeBytes + size
}
