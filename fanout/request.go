package fanout

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/conn"
	"oneplusn/fanout/wire"
)

// Request implements [conn.Handler].
func (c *client) Request(frame []byte, again bool) {
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
	b.loop.Record(eventRequest, int64(c.Slot()), int64(c.header.Key), int64(len(frame)))
	c.measured(len(frame), c.answer)
}

// answer answers the request under way, or begins to.
func (c *client) answer() {
	b := c.broker
	err := requestOf(c.header.Key).answer(b, c)
	if errors.Is(err, wire.ErrNoRoom) {
		err = b.tooManyPartitions(c)
	}
	if errors.Is(err, wire.ErrNoRoom) {
		if err := b.noListRoom(c); err != nil {
			c.Close(conn.ByMemory, err)
		}
		return
	}
	if err == nil {
		c.ChargeLists()
	} else {
		c.Close(conn.ByProtocol, fmt.Errorf("fanout: %s v%d: %w", wire.Describe(c.header.Key), c.header.Version, err))
	}
}

// requestRefused deals with a header that cannot be served. Clients find out what is served by ApiVersions, so that one
// is answered whatever its version is (KIP-511); for any other there is no answer that the client could read.
func (b *Broker) requestRefused(c *client, err error) {
	if errors.Is(err, wire.ErrUnsupportedVersion) && c.header.Key == wire.KeyApiVersions {
		_ = handleApiVersions(b, c)
		return
	}
	c.Close(conn.ByProtocol, err)
}

// Respond sends a whole response that was encoded on the heap. encoded becomes the loop's scratch memory.
func (c *client) Respond(encoded []byte) {
	c.broker.keepScratch(encoded)
	c.Conn.Respond(encoded)
}

// decode reads a request that is not on the path of records from a copy of its frame, so a handler may keep it. It is nil without
// an error if the client has to wait for memory or for its turn, or was closed.
func (b *Broker) decode(c *client) (kmsg.Request, error) {
	if ok, err := c.ChargeDecoded(len(c.header.Body)); !ok {
		if err != nil {
			c.Close(conn.ByMemory, err)
		}
		return nil, nil
	}
	if len(c.header.Body) > conn.CostlyBytes && c.PutOff(len(c.header.Body)) {
		return nil, nil
	}
	return wire.DecodeRequest(c.header)
}

// reply encodes and sends a response of kmsg's. While there is no room for it, it is kept if it says what the request has
// done, and its size is bounded by the request's; a request that only asks is answered again.
func (b *Broker) reply(c *client, response kmsg.Response) {
	c.Respond(wire.AppendResponse(b.scratch[:0], c.header.CorrelationID, response))
	if c.AwaitsBlock() && !requestOf(c.header.Key).onlyAsks {
		c.kept = response
	}
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

// stillOpen is the client whose connection an id names. It is nil if the connection has ended since.
func (b *Broker) stillOpen(id conn.ID) *client {
	c := b.conns.Find(id)
	if c == nil {
		return nil
	}
	return &b.clients[c.Slot()]
}
