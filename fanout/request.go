package fanout

import (
	"errors"
	"fmt"

	"oneplusn/fanout/transfer"
	"oneplusn/fanout/wire"
)

// request implements [handler].
func (c *client) request(frame []byte, again bool) {
	b := c.broker
	c.startedAt = b.loop.Now()
	var err error
	c.header, err = wire.ParseHeader(frame, readVersions)
	if err != nil {
		b.requestRefused(c, err)
		return
	}
	if !again {
		b.counters.request(c.header.Key)
	}
	b.loop.Record(eventRequest, int64(c.slot), int64(c.header.Key), int64(len(frame)))
	slow, began := slowRequestOf(c, len(frame)), b.loop.Kernel.Now()
	b.answer(c)
	b.turns.requested(&slow, began)
}

// answer answers the request under way, or begins to.
func (b *Broker) answer(c *client) {
	err := requestOf(c.header.Key).answer(b, c)
	if errors.Is(err, wire.ErrNoRoom) {
		err = b.tooManyPartitions(c)
	}
	if errors.Is(err, wire.ErrNoRoom) {
		if err := b.noListRoom(c); err != nil {
			c.close(closedByMemory, err)
		}
		return
	}
	if err == nil && c.state == connOpen {
		if err := c.chargeLists(); err != nil {
			c.close(closedByMemory, err)
		}
		return
	}
	if err != nil {
		c.close(closedByProtocol, fmt.Errorf("fanout: %s v%d: %w", wire.Describe(c.header.Key), c.header.Version, err))
	}
}

// requestRefused deals with a header that cannot be served. Clients find out what is served by ApiVersions, so that one
// is answered whatever its version is (KIP-511); for any other there is no answer that the client could read.
func (b *Broker) requestRefused(c *client, err error) {
	if errors.Is(err, wire.ErrUnsupportedVersion) && c.header.Key == wire.KeyApiVersions {
		_ = handleApiVersions(b, c)
		return
	}
	c.close(closedByProtocol, err)
}

// respond sends a whole response that was encoded on the heap. encoded becomes the loop's scratch memory. If there is no
// room for it, the request is answered again when there is: see again.
func (c *conn) respond(encoded []byte) {
	c.broker.keepScratch(encoded)
	if mem, ok := c.place(encoded); ok {
		c.send(append(c.flow.Parts(), transfer.Part{Header: mem}))
	}
}

// send sends a response. From here on its request is not needed any more.
func (c *conn) send(parts []transfer.Part) {
	c.dropFrame()
	c.broker.engine.Start(&c.flow, parts)
}

// keptScratchBytes bounds the scratch memory between two sweeps, which no budget counts.
const keptScratchBytes = 1 << 20

// keepScratch keeps the memory of an encoded response for the next one. The sweep drops it if it is large: one client's huge
// answer must not stay taken, but many that come at once take it one after the other.
func (b *Broker) keepScratch(encoded []byte) {
	if cap(encoded) >= cap(b.scratch) {
		b.scratch = encoded[:0]
	}
}

func (b *Broker) dropScratch() {
	if cap(b.scratch) > keptScratchBytes {
		b.scratch = nil
	}
}

// respondNothing ends a request that has no response.
func (c *conn) respondNothing() {
	c.dropFrame()
	c.requestEnded()
}

// place copies header bytes to where the kernel may read them: the connection's slab, or a block if they are many. ok is
// false if there is no room for them: the connection waits for it, or has been closed.
func (c *conn) place(header []byte) (mem []byte, ok bool) {
	mem = c.headerMemory()
	if len(header) > len(mem) {
		blk, err := c.broker.blocks.take(c, len(header))
		if err != nil {
			c.refuseBlock(len(header), err)
			return nil, false
		}
		c.block, mem = blk, blk.bytes
	}
	return mem[:copy(mem, header)], true
}

// refuseBlock lets the connection wait for response memory, or closes it if there will never be enough.
func (c *conn) refuseBlock(n int, err error) {
	if errors.Is(err, errNoResponseMemory) {
		c.awaitResponse(n)
		return
	}
	c.close(closedByMemory, err)
}

// FlowDone implements [transfer.Owner]: the response has been handed to the socket.
func (b *Broker) FlowDone(f *transfer.Flow) {
	c := &b.conns.slots[f.Token.Slot()]
	c.lastActive = b.loop.Now()
	c.giveBlock()
	c.requestEnded()
}

// requestEnded goes on with the next request, as soon as nothing reads the frame of this one any more.
func (c *conn) requestEnded() {
	if c.in.pins > 0 {
		c.answered = true // unpin calls again
		return
	}
	c.requestDone()
	if c.broker.stopping {
		c.close(closedByShutdown, nil)
		return
	}
	c.serve()
}

// FlowFailed implements [transfer.Owner].
func (b *Broker) FlowFailed(f *transfer.Flow, err error) {
	reason := closedByWrite
	if errors.Is(err, transfer.ErrReadSegment) {
		reason = closedByStorage
		b.loop.Log.Error("a segment could not be read", "error", err)
	}
	b.conns.slots[f.Token.Slot()].close(reason, err)
}

// stillOpen looks up a connection that a background job was started for. It is nil if the connection has ended since.
func (b *Broker) stillOpen(slot, generation uint32) *client {
	c := &b.conns.slots[slot]
	if c.generation != generation || c.state != connOpen {
		return nil
	}
	return &b.clients[slot]
}
