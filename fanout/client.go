package fanout

import (
	"fmt"
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

	coordinated bool          // the coordinator owes the answer
	kept        kmsg.Response // an answer that waits for response memory; nil if the request is answered again
}

// clientOf readies the client of a connection that was accepted.
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
	c.mustBeAnswered()
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

// Reclaim implements [conn.Handler]: a parked fetch is answered with the data at hand. A produce has to wait for its sync.
func (c *client) Reclaim() bool { return c.fetch.HurryParked() }

func (c *client) Closing() {
	c.produce.Close()
	c.fetch.End()
	c.base.offsets.Disconnected(uint64(c.ID()))
	c.kept, c.coordinated = nil, false
}

// Fail implements [fetch.Conn], and Refuse [produce.Conn].
func (c *client) Fail(err error)   { c.Close(conn.ByProtocol, err) }
func (c *client) Refuse(err error) { c.Close(conn.ByRefused, err) }

// ListBytes implements [conn.Handler].
func (c *client) ListBytes() int64 {
	return c.fetch.ListBytes() + c.produce.ListBytes()
}

func (c *client) DropLists() {
	c.fetch.DropLists()
	c.produce.DropLists()
}

// listRoom is the number of partitions of bytes each that the client's lists may get now.
func (c *client) listRoom(bytes int64) int {
	return int(min(c.ListRoom()/bytes, c.base.mostPartitions()))
}

// leastMostPartitions is the lowest such limit, however low --max-partitions is.
const leastMostPartitions = 20_000

// mostPartitions is how many partitions a produce, a fetch or a fetch session may name: as many as there may be. A request that
// names more has repeated or unknown ones, and its list would take the memory of all other requests.
func (b *base) mostPartitions() int64 {
	return min(max(b.catalog.PartitionBudget().Limit(), leastMostPartitions), wire.MaxPartitions)
}

// noListRoom queues a request for the memory of its list of partitions, or refuses it.
func (c *client) noListRoom() {
	named, each := c.fetch.Named(), int64(fetch.ListBytesPerPartition)
	if c.header.Key == wire.KeyProduce {
		named, each = c.produce.Named(), produce.ListBytesPerPartition
	}
	if most := c.base.mostPartitions(); int64(named) > most {
		c.refuse(fmt.Errorf("%w: it names %d, the limit is %d partitions (--max-partitions)",
			wire.ErrTooManyPartitions, named, most))
	} else if err := c.AwaitRoom("a request's list of partitions", int64(named)*each); err != nil {
		c.Close(conn.ByMemory, err)
	}
}
