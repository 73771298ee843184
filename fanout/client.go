package fanout

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

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
	fetch     wire.FetchRequest
	// The fetch session, whether the fetch under way is one of its incremental requests, and the id to answer with.
	session        fetchSession
	incremental    bool
	answersSession int32
	// served is the partition that came first in the last fetch with records.
	served  *partition
	lookups fetchLookups
	produce wire.ProduceRequest

	produced  []produceResult
	producing producing

	// A waiting fetch, or a produce that waits for its sync.
	parked    bool
	deadline  time.Duration
	heapIndex int
	waits     []waitNode
	readable  int64 // of a fetch: the sum over its partitions

	kept kmsg.Response // an answer that waits for response memory; nil if the request is answered again
}

// open begins a client's life.
func (c *client) open(b *Broker, transport *conn) handler {
	c.conn, c.broker, c.heapIndex = transport, b, -1
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
		b.answerProduce(c)
	case c.header.Key == wire.KeyFetch:
		for i := range c.session.told { // what was noted as told was not sent
			c.session.told[i] = untold
		}
		b.tryFetch(c)
	default:
		b.answer(c)
	}
	b.turns.requested(&slow, began)
}

// moved implements [handler]: names and records of a fetch or produce alias its frame.
func (c *client) moved(frame []byte) (err error) {
	if c.header, err = wire.ParseHeader(frame); err != nil {
		return err
	}
	switch c.header.Key {
	case wire.KeyProduce:
		return c.produce.Parse(c.header.Version, c.header.Body)
	case wire.KeyFetch:
		return c.fetch.Parse(c.header.Version, c.header.Body)
	}
	return nil
}

func (c *client) dropped() { c.header.ClientID, c.header.Body = nil, nil }

func (c *client) ended() {
	c.broker.counters.requestSeconds(c.header.Key, c.broker.loop.Now()-c.startedAt)
}

func (c *client) dropLists() {
	c.fetch, c.produce = wire.FetchRequest{}, wire.ProduceRequest{}
	c.produced, c.waits = nil, nil
}

// reclaim implements [handler]: a waiting fetch is answered with what there is. A produce has its sync to wait for.
func (c *client) reclaim() bool {
	if !c.parked || c.header.Key != wire.KeyFetch {
		return false
	}
	c.broker.unpark(c)
	c.fetch.MaxWaitMillis = 0
	c.broker.tryFetch(c)
	return true
}

func (c *client) closing() {
	c.broker.unpark(c)
	c.broker.leaveGroups(c)
	c.kept = nil
}

func (c *client) freed() {
	c.broker.endSession(c)
	c.served = nil
	c.lookups.forget()
}
