package fanout

import (
	"fmt"

	"oneplusn/fanout/wire"
	"oneplusn/ring"
)

// pauseReadBytes is how much a client may send ahead of the request that is being answered. Beyond it its socket is
// not read, so that TCP holds it back and not our memory.
const pauseReadBytes = 64 << 10

// input is what a connection has received and not yet answered: frame bytes in a lent buffer, from start to end.
//
// Bytes of a frame that are read off the loop (a write of the log, the check of a batch) are pinned: until they are
// unpinned they neither move nor are overwritten, and their buffer stays charged, though the request may have been
// answered and the connection closed meanwhile.
type input struct {
	buf        []byte
	start, end int
	pins       int
	retired    [][]byte // buffers that the input has left while bytes in them were pinned
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
		in.retired[i] = nil
	}
	in.retired = in.retired[:0]
	b.rewind(c)
	b.freeIfIdle(c)
}

// leave gives a buffer back that the input has moved out of.
func (b *Broker) leave(in *input, old []byte) {
	if in.pins > 0 {
		in.retired = append(in.retired, old)
		return
	}
	b.frames.give(old)
}

// rewind begins an empty input at the front of its buffer, and gives a large one back.
func (b *Broker) rewind(c *conn) {
	in := &c.in
	if in.start < in.end || in.pins > 0 {
		return
	}
	in.start, in.end = 0, 0
	if len(in.buf) > keptFrameBytes {
		b.frames.give(in.takeBuffer())
	}
}

func (in *input) pending() []byte { return in.buf[in.start:in.end] }

// takeBuffer empties the input and hands its buffer out, to be given back to the pool.
func (in *input) takeBuffer() []byte {
	if in.pins > 0 || len(in.retired) > 0 {
		panic(fmt.Sprintf("fanout: a request buffer is given back with %d pins on it", in.pins))
	}
	b := in.buf
	*in = input{retired: in.retired}
	return b
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
		c.lastActive = b.now
		err := b.receive(c, b.kernel.Buffer(completion))
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
		b.kernel.ReleaseBuffer(c)
	}
}

// receive copies received bytes to the connection's input, in a buffer that fits the whole frame once its size is
// known.
func (b *Broker) receive(c *conn, data []byte) error {
	in := &c.in
	if need := in.end + len(data); need > len(in.buf) {
		if err := b.makeRoom(c, len(data), data); err != nil {
			return err
		}
	}
	in.end += copy(in.buf[in.end:], data)
	return nil
}

// makeRoom moves the input to the front of its buffer, or to a larger one.
func (b *Broker) makeRoom(c *conn, more int, data []byte) error {
	in := &c.in
	old, buf := in.buf, in.buf
	want := max(in.end-in.start+more, b.frameWant(c, data))
	if want > len(buf) || in.pins > 0 {
		var ok bool
		if buf, ok = b.frames.take(want); !ok {
			return fmt.Errorf("fanout: a request needs %d bytes, %d of %d bytes of request memory are taken: raise --request-memory",
				want, b.frames.used, b.frames.limit)
		}
		defer b.leave(in, old)
	}
	in.end = copy(buf, old[in.start:in.end])
	in.buf, in.start = buf, 0
	if c.parked || c.lookups.waits() || c.busy && c.header.Key == wire.KeyProduce {
		// The waiting request's topic names point into the bytes that have just moved.
		return b.reparse(c)
	}
	return nil
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
	for c.state == connOpen && !c.busy {
		pending := c.in.pending()
		size, ok, err := wire.FrameSize(pending, b.config.MaxRequestBytes)
		if err != nil {
			b.closeConn(c, closedByProtocol, err)
			return
		}
		if !ok || len(pending) < wire.FrameSizeBytes+size {
			break
		}
		b.request(c, pending[wire.FrameSizeBytes:wire.FrameSizeBytes+size])
	}
	b.throttleReading(c)
}

// requestDone drops the answered request's frame.
func (b *Broker) requestDone(c *conn) {
	in := &c.in
	size, _, _ := wire.FrameSize(in.pending(), b.config.MaxRequestBytes)
	in.start += wire.FrameSizeBytes + size
	c.busy = false
	b.counters.requestSeconds(c.header.Key, b.now-c.startedAt)
	if c.charged > chargedListBytes {
		b.dropLists(c)
	}
	b.rewind(c)
}

// throttleReading stops reading from a client that is far ahead, and starts again when it is not.
func (b *Broker) throttleReading(c *conn) {
	if c.state != connOpen {
		return
	}
	waiting := c.in.end - c.in.start
	ahead := c.busy && waiting > pauseReadBytes && waiting > pauseReadBytes+b.frameWant(c, nil)
	switch {
	case ahead && !c.recvPaused:
		c.recvPaused = true
		if c.recvArmed {
			c.cancels++
			b.kernel.Queue(ring.CancelToken(b.token(c, kindCancel), b.token(c, kindRecv)))
		}
	case !ahead && c.recvPaused:
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
