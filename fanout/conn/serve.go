package conn

import (
	"errors"
	"fmt"

	"oneplusn/fanout/transfer"
	"oneplusn/fanout/wire"
	"oneplusn/ring"
	"oneplusn/segment/mark"
)

// request is the state of the request under way: see the package comment.
type request uint8

const (
	none     request = iota
	asked            // the handler has its frame, and owes the answer
	sending          // the answer is on its way to the socket
	answered         // the socket has all of it; the frame may be pinned still
)

// serve hands the requests in the input to the handler, one after the other, until one has to wait.
func (c *Conn) serve() {
	if c.serving {
		return
	}
	c.serving = true
	for c.state == open && c.request == none && !c.forRequest.Linked() {
		pending := c.in.pending()
		size, ok, err := wire.FrameSize(pending, c.table.config.MaxRequestBytes)
		if err != nil {
			mark.Hit("a client announced a frame of an impossible size")
			c.Close(ByProtocol, err)
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
		c.request, c.in.held, c.needsRequest = asked, true, 0
		c.handler.Request(pending[wire.FrameSizeBytes:wire.FrameSizeBytes+size], again)
	}
	c.serving = false
	c.throttleReading()
}

// Respond sends a whole response, which is copied. If there is no room for it, the request is answered again when there is.
func (c *Conn) Respond(encoded []byte) {
	if mem, ok := c.Place(encoded); ok {
		c.Send(append(c.Parts(), transfer.Part{Header: mem}))
	}
}

// Place copies header bytes to where the kernel may read them: the connection's slab, or a block if they are many. ok is
// false if there is no room for them: the connection waits for it, or has been closed.
func (c *Conn) Place(header []byte) (mem []byte, ok bool) {
	c.mustBeAsked("a response")
	if c.block != nil {
		panic(fmt.Sprintf("conn: the response of connection %v is placed once", c.token))
	}
	mem = c.slab[ring.MessageBytes:slabBytes]
	if len(header) > len(mem) {
		b, err := c.table.Responses.Take(c, len(header))
		if err != nil {
			c.AwaitBlock(len(header), err)
			return nil, false
		}
		c.block, mem = b, b.bytes
	}
	return mem[:copy(mem, header)], true
}

// Parts is the connection's own empty list of parts for [Conn.Send].
func (c *Conn) Parts() []transfer.Part { return c.flow.Parts() }

// Share hands a reference to a block over to the connection, as a part of its response: it is released when that is sent.
func (c *Conn) Share(b *Block) {
	if c.shared != nil {
		panic(fmt.Sprintf("conn: the response of connection %v has one shared block", c.token))
	}
	c.shared = b
}

// Send sends a response, whose parts are in [Conn.Parts], with a header that [Conn.Place] placed. From here on the request's
// frame is not needed any more.
func (c *Conn) Send(parts []transfer.Part) {
	c.mustBeAsked("a response")
	c.request = sending
	c.dropFrame()
	c.table.Engine.Start(&c.flow, parts)
}

// RespondNothing ends a request that has no response.
func (c *Conn) RespondNothing() {
	c.mustBeAsked("the end of a request without response")
	c.request = answered
	c.dropFrame()
	c.end()
}

// AwaitBlock lets the connection wait for response memory, or closes it if there will never be enough. err is that of
// [ResponseMemory.Take].
func (c *Conn) AwaitBlock(n int, err error) {
	if errors.Is(err, errNoResponseMemory) {
		c.awaitResponse(n)
		return
	}
	c.Close(ByMemory, err)
}

// AwaitsBlock says that the request under way has an answer for which there is no response memory yet.
func (c *Conn) AwaitsBlock() bool { return c.forResponse.Linked() }

// Unanswered says that the request under way has no answer, and that the connection itself waits for nothing that leads to one: no
// response memory, turn, errand or pin.
func (c *Conn) Unanswered() bool {
	return c.state == open && c.request == asked && !c.forResponse.Linked() && !c.forTurn.Linked() && c.errands == 0 && c.in.pins == 0
}

// end ends an answered request, and goes on with the next, as soon as nothing reads the frame any more.
func (c *Conn) end() {
	if c.request != answered {
		panic(fmt.Sprintf("conn: a request ends after its answer; connection %v: request %d", c.token, c.request))
	}
	if c.in.pins > 0 {
		return // Unpin calls again
	}
	c.request = none
	c.handler.RequestEnded()
	if c.table.stopping {
		mark.Hit("a request was answered while the server stopped")
		c.Close(ByShutdown, nil)
		return
	}
	c.serve()
}

// dropFrame drops the frame of the request under way: its answer is known. The client may take its time to read it.
func (c *Conn) dropFrame() {
	in := &c.in
	if !in.held {
		panic(fmt.Sprintf("conn: the frame of a request is held until its answer; connection %v has none", c.token))
	}
	in.start = in.firstFrame(c.table.config.MaxRequestBytes)
	in.held, in.began = false, c.table.loop.Now()
	c.handler.FrameDropped()
	c.trimLists()
	c.rewind()
}
