package fanout

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/fetch"
	"oneplusn/fanout/produce"
	"oneplusn/fanout/wire"
)

// client is the Kafka side of a connection: the request under way, and what lasts from one request to the next. There is one for
// each slot of the table of connections.
type client struct {
	*conn
	broker *Broker

	// The request under way. Its frame lies in the connection's input until the answer is known.
	header    wire.Header
	startedAt time.Duration
	fetch     fetch.Fetch
	produce   produce.Produce

	kept kmsg.Response // an answer that waits for response memory; nil if the request is answered again
}

// open begins a client's life.
func (c *client) open(b *Broker, transport *conn) handler {
	c.conn, c.broker = transport, b
	c.fetch.Open(b.fetcher, fetchConn{c})
	c.produce.Open(b.producer, produceConn{c})
	return c
}

// again implements [handler].
func (c *client) again() {
	b, kept := c.broker, c.kept
	slow, began := slowRequestOf(c, len(c.header.Body)), b.loop.Kernel.Now()
	c.kept = nil
	switch {
	case kept != nil:
		b.reply(c, kept)
	case c.header.Key == wire.KeyProduce:
		c.produce.SendAgain()
	case c.header.Key == wire.KeyFetch:
		c.fetch.SendAgain()
	default:
		b.answer(c)
	}
	b.turns.requested(&slow, began)
}

// moved implements [handler]: names and records of a fetch or produce alias its frame.
func (c *client) moved(frame []byte) (err error) {
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

func (c *client) dropped() { c.header.ClientID, c.header.Body = nil, nil }

func (c *client) ended() {
	c.broker.counters.requestSeconds(c.header.Key, c.broker.loop.Now()-c.startedAt)
}

func (c *client) dropLists() {
	c.fetch.DropLists()
	c.produce.DropLists()
}

// reclaim implements [handler]: a waiting fetch is answered with what there is. A produce has its sync to wait for.
func (c *client) reclaim() bool { return c.fetch.HurryParked() }

func (c *client) closing() {
	c.produce.Close()
	c.fetch.End()
	c.broker.offsets.Disconnected(ticketOf(c))
	c.kept = nil
}

func (c *client) freed() {}
