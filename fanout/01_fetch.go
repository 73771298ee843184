package fanout

import (
	"oneplusn/fanout/fetch"
	"oneplusn/fanout/wire"
)

func init() {
	registerRaw(wire.KeyFetch, handleFetch, Request{Min: 4, Max: 11,
		Does:     "reads record batches, and waits for them if asked to",
		Versions: "4 to 11 end with the last partition's records, so that a response alternates header bytes and file ranges, ending with a range. From 7 on with fetch sessions (KIP-227). Clients below 10 do not know zstd (KIP-110)",
		Errors: []int16{wire.CodeOffsetOutOfRange, wire.CodeUnknownTopicOrPartition, wire.CodeKafkaStorageError,
			wire.CodeFetchSessionIDNotFound, wire.CodeInvalidFetchSessionEpoch, wire.CodeFencedLeaderEpoch,
			wire.CodeUnknownLeaderEpoch, wire.CodeUnsupportedCompressionType},
	})
}

// handleFetch answers a fetch, or lets it wait: see package fetch.
//
// Behaviour:
//   - The response holds whole batches below the high watermark, from the one that contains the offset on, or the first one
//     above it if that was compacted away.
//   - It is longer than max_bytes or --fetch-max-bytes, and a partition's records longer than its max_bytes, only if the very
//     first batch of the response is (KIP-74), so that a consumer always makes progress.
//   - A partition that is named more than once gets records once, which bounds what a request costs.
//   - A fetch with less than min_bytes to read waits up to max_wait, unless a partition has an error or continues in another
//     segment. min_bytes is capped at the size of the largest possible response.
//   - Positions that only the disk knows are looked up in the background first.
//   - Consumers with read_committed get the list of aborted transactions, and nothing from the last stable offset on. Both come
//     from directories that a Kafka broker wrote: there are no transactions here.
//   - Partitions are served in turn, beginning behind the one that came first in the last response, so none is starved by those
//     before it.
func handleFetch(b *base, c *client) error {
	return c.fetch.Start(&c.header, c.listRoom(fetch.ListBytesPerPartition))
}

// findToRead implements [fetch.Find].
func (b *base) findToRead(topic []byte, index int32) (*fetch.Partition, int16) {
	p, code := b.catalog.Find(topic, index)
	if p == nil {
		return nil, code
	}
	return &p.Fetch, 0
}
