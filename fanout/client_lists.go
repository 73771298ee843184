package fanout

import (
	"fmt"

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
	return int(min(c.ListRoom()/bytes, c.broker.mostPartitions()))
}

// leastMostPartitions is how many partitions a produce or a fetch may name at least, however few a server may have.
const leastMostPartitions = 20_000

// mostPartitions is how many partitions a produce, a fetch or a session of fetches may name: as many as there may be. One that
// names more repeats some, or means none, and its memory alone would hold up everybody.
func (b *Broker) mostPartitions() int64 {
	return min(max(b.catalog.PartitionBudget().Limit(), leastMostPartitions), wire.MaxPartitions)
}

// tooManyPartitions is the error of a request of more partitions than it may name, or [wire.ErrNoRoom].
func (b *Broker) tooManyPartitions(c *client) error {
	named := c.fetch.Named()
	if c.header.Key == wire.KeyProduce {
		named = c.produce.Named()
	}
	if most := b.mostPartitions(); int64(named) > most {
		return fmt.Errorf("%w: it names %d, more than %d partitions, which is what there may be (--max-partitions)",
			wire.ErrTooManyPartitions, named, most)
	}
	return wire.ErrNoRoom
}

// noListRoom lets a request of more partitions than there is room for wait, or refuses it.
func (b *Broker) noListRoom(c *client) error {
	needs := int64(c.fetch.Named()) * fetch.ListBytesPerPartition
	if c.header.Key == wire.KeyProduce {
		needs = int64(c.produce.Named()) * produce.ListBytesPerPartition
	}
	return c.AwaitRoom("a request's list of partitions", needs)
}
