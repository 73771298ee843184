package fanout

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/conn"
	"oneplusn/fanout/loop"
	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

var eventRequest = loop.NewEventKind("request", "slot", "key", "bytes").As(1, func(key int64) string { return kmsg.Key(key).Name() })

// Request implements [conn.Handler].
func (c *client) Request(frame []byte, again bool) {
	b := c.base
	c.startedAt = b.loop.Now()
	var err error
	c.header, err = wire.ParseHeader(frame, readVersions)
	switch {
	case errors.Is(err, wire.ErrUnsupportedVersion) && c.header.Key == wire.KeyApiVersions:
		// Clients learn by ApiVersions which versions are served, so any version of it is answered (KIP-511).
		c.answer()
		return
	case err != nil: // no answer that the client could read
		mark.Hit("a request with a header that cannot be read ended its connection")
		c.Close(conn.ByProtocol, err)
		return
	}
	if !again {
		b.counters.requests[c.header.Key]++
	}
	b.loop.Record(eventRequest, int64(c.Slot()), int64(c.header.Key), int64(len(frame)))
	c.measured(len(frame), c.answer)
}

// answer answers the request under way, or begins to.
func (c *client) answer() {
	switch err := requestOf(c.header.Key).answer(c.base, c); {
	case err == nil:
		c.ChargeLists()
	case errors.Is(err, wire.ErrNoRoom):
		c.noListRoom()
	default:
		c.refuse(err)
	}
	c.mustBeAnswered()
}

// mustBeAnswered panics if a handler has returned without an answer, and nothing is under way that leads to one.
func (c *client) mustBeAnswered() {
	if c.Unanswered() && !c.fetch.Waits() && !c.produce.Parked() && !c.coordinated {
		panic(fmt.Sprintf("fanout: a request is answered, or waits for what answers it; %s v%d has neither",
			wire.Describe(c.header.Key), c.header.Version))
	}
}

// refuse closes the connection of a request that cannot be read.
func (c *client) refuse(err error) {
	mark.Hit("a request that cannot be read ended its connection")
	c.Close(conn.ByProtocol, fmt.Errorf("%s v%d: %w", wire.Describe(c.header.Key), c.header.Version, err))
}

// Respond sends a whole response that was encoded on the heap. encoded becomes the loop's scratch memory.
func (c *client) Respond(encoded []byte) {
	c.base.loop.Scratch.Keep(encoded)
	c.Conn.Respond(encoded)
}

// decode decodes a request other than Produce and Fetch, from a copy of its frame, so that a handler may keep it. It returns nil and
// no error if the request has to wait for memory or for its turn, or if the client was closed.
func (c *client) decode() (kmsg.Request, error) {
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

// reply encodes and sends a response. If there is no memory for it yet, it is kept when the request has changed something (then
// the request's size bounds it); a request that only asks is answered again.
func (c *client) reply(response kmsg.Response) {
	c.Respond(wire.AppendResponse(c.base.loop.Scratch.Empty(), c.header.CorrelationID, response))
	if c.AwaitsBlock() && !requestOf(c.header.Key).onlyAsks {
		mark.Hit("the answer to a change was kept until there was memory for it")
		c.kept = response
	}
}

// later begins work that outlives the turn, or the client ([conn.Conn.Errand]). reply ends it, and responds if the client is still
// connected.
func (c *client) later() (reply func(kmsg.Response)) {
	end := c.Errand()
	return func(response kmsg.Response) {
		if end() {
			c.reply(response)
		}
	}
}

// slowRequest describes a turn's longest request for the log of slow turns: the frame may be gone by then.
type slowRequest struct {
	key, version int16
	bytes        int
	conn         *conn.Conn // for its peer: connections never move
	client       [64]byte
	clientBytes  int
}

// measured runs answer, and remembers the request if it took the longest in this turn.
func (c *client) measured(frameBytes int, answer func()) {
	b, began := c.base, c.base.loop.Kernel.Now()
	r := slowRequest{key: c.header.Key, version: c.header.Version, bytes: frameBytes, conn: c.Conn}
	r.clientBytes = copy(r.client[:], c.header.ClientID)
	answer()
	if b.turns.Requested(began) {
		b.slowest = r
	}
}

// describeSlowest returns the log attributes of the turn's longest request.
func (b *base) describeSlowest(took time.Duration) []any {
	r := &b.slowest
	return []any{"request", wire.Describe(r.key), "version", r.version, "request_took", took, "bytes", r.bytes,
		"client", string(r.client[:r.clientBytes]), "peer", r.conn.Peer()}
}
