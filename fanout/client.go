package fanout

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/conn"
	"oneplusn/fanout/fetch"
	"oneplusn/fanout/produce"
	"oneplusn/fanout/wire"
)

// client is the Kafka side of a connection: the request under way, and what lasts from one request to the next. There is one for
// each slot of the table of connections.
type client struct {
	*conn.Conn
	base *base

	// The request under way. Its frame lies in the connection's input until the answer is known.
	header    wire.Header
	startedAt time.Duration
	fetch     fetch.Fetch
	produce   produce.Produce

	kept kmsg.Response // an answer that waits for response memory; nil if the request is answered again
}

// clientOf begins the life of a connection's client.
func (b *base) clientOf(transport *conn.Conn) conn.Handler {
	c := &b.clients[transport.Slot()]
	c.Conn, c.base = transport, b
	c.fetch.Open(b.fetcher, c)
	c.produce.Open(b.producer, c)
	return c
}

// RequestAgain implements [conn.Handler].
func (c *client) RequestAgain() { c.measured(len(c.header.Body), c.answerAgain) }

func (c *client) answerAgain() {
	kept := c.kept
	c.kept = nil
	switch {
	case kept != nil:
		c.reply(kept)
	case c.header.Key == wire.KeyProduce:
		c.produce.SendAgain()
	case c.header.Key == wire.KeyFetch:
		c.fetch.SendAgain()
	default:
		c.answer()
	}
}

// FrameMoved implements [conn.Handler]: names and records of a fetch or produce alias its frame.
func (c *client) FrameMoved(frame []byte) (err error) {
	if c.header, err = wire.ParseHeader(frame, readVersions); err != nil {
		return err
	}
	switch c.header.Key {
	case wire.KeyProduce:
		return c.produce.Parse(&c.header)
	case wire.KeyFetch:
		return c.fetch.Parse(&c.header)
	}
	return nil
}

func (c *client) FrameDropped() { c.header.ClientID, c.header.Body = nil, nil }

func (c *client) RequestEnded() {
	c.base.counters.requestTime[c.header.Key] += c.base.loop.Now() - c.startedAt
}

func (c *client) DropLists() {
	c.fetch.DropLists()
	c.produce.DropLists()
}

// Reclaim implements [conn.Handler]: a waiting fetch is answered with what there is. A produce has its sync to wait for.
func (c *client) Reclaim() bool { return c.fetch.HurryParked() }

func (c *client) Closing() {
	c.produce.Close()
	c.fetch.End()
	c.base.offsets.Disconnected(uint64(c.ID()))
	c.kept = nil
}

// Fail implements [fetch.Conn], and Refuse [produce.Conn].
func (c *client) Fail(err error)   { c.Close(conn.ByProtocol, err) }
func (c *client) Refuse(err error) { c.Close(conn.ByRefused, err) }
