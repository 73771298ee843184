package fanout

import (
	"fmt"

	"oneplusn/fanout/conn"
	"oneplusn/fanout/fetch"
	"oneplusn/fanout/produce"
	"oneplusn/fanout/wire"
)

// ListBytes implements [conn.Handler].
func (c *client) ListBytes() int64 {
	return c.fetch.ListBytes() + c.produce.ListBytes()
}

// listRoom is the number of partitions of bytes each that the client's lists may get now.
func (c *client) listRoom(bytes int64) int {
	return int(min(c.ListRoom()/bytes, c.base.mostPartitions()))
}

// leastMostPartitions is how many partitions a produce or a fetch may name at least, however few a server may have.
const leastMostPartitions = 20_000

// mostPartitions is how many partitions a produce, a fetch or a session of fetches may name: as many as there may be. One that
// names more repeats some, or means none, and its memory alone would hold up everybody.
func (b *base) mostPartitions() int64 {
	return min(max(b.catalog.PartitionBudget().Limit(), leastMostPartitions), wire.MaxPartitions)
}

// noListRoom lets a request of more partitions than there is room for wait, or refuses it.
func (c *client) noListRoom() {
	named, each := c.fetch.Named(), int64(fetch.ListBytesPerPartition)
	if c.header.Key == wire.KeyProduce {
		named, each = c.produce.Named(), produce.ListBytesPerPartition
	}
	if most := c.base.mostPartitions(); int64(named) > most {
		c.refuse(fmt.Errorf("%w: it names %d, more than %d partitions, which is what there may be (--max-partitions)",
			wire.ErrTooManyPartitions, named, most))
	} else if err := c.AwaitRoom("a request's list of partitions", int64(named)*each); err != nil {
		c.Close(conn.ByMemory, err)
	}
}
