package fanout

import (
	"bytes"
	"errors"

	"oneplusn/fanout/transfer"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// fetchResult is what one partition of a fetch is answered with.
type fetchResult struct {
	wire.FetchResult
	partition *partition // nil if there is none
	rng       segment.Range
	// silent says that a session's client need not be told of it.
	silent bool
}

// handleFetch answers a fetch, or lets it wait.
//
// Behaviour:
//   - The response holds whole batches, from the one that contains the offset on, below the high watermark.
//   - The first batch found is sent even if it is larger than the limits (KIP-74), so a consumer always gets on. The
//     first of another partition may be larger than that partition's limit, but not than what is left of the fetch's.
//   - A fetch with less than min_bytes to send waits up to max_wait, unless a partition has an error to tell.
//   - Readers of committed data get the list of aborted transactions, and nothing from the last stable offset on. Both come
//     from directories that a Kafka broker wrote: there are no transactions here.
//   - What a fetch may carry is shared out from another partition on each time, the one behind that which came first the
//     last time, so none is starved by those before it.
//
// Versions: 4 to 11, the ones that end with the last partition's records, so that a response is header bytes and
// ranges by turns and ends with a range. From 7 on with fetch sessions (KIP-227): see [fetchSession]. Clients below 10
// do not know zstd, and get UNSUPPORTED_COMPRESSION_TYPE (KIP-110).
func (b *Broker) handleFetch(c *conn) error {
	c.fetch.Room = b.listRoom(c, fetchListBytes)
	if err := c.fetch.Parse(c.header.Version, c.header.Body); err != nil {
		return err
	}
	if code := b.enterSession(c); code != 0 {
		head := wire.AppendFetchHead(b.scratch[:0], c.header.Version, c.header.CorrelationID, code, 0, 0)
		if err := wire.PatchFrameSize(head, int64(len(head))); err != nil {
			return err
		}
		b.respond(c, head)
		return nil
	}
	total, final := b.evaluate(c)
	if final || total >= int64(c.fetch.MinBytes) || c.fetch.MaxWaitMillis <= 0 || b.stopping {
		b.sendFetch(c)
		return nil
	}
	b.park(c)
	return nil
}

// answerFetch answers a fetch that waited, with whatever there is now.
func (b *Broker) answerFetch(c *conn) {
	b.evaluate(c)
	b.sendFetch(c)
}

// reparse reads the request under way again after its frame has moved.
func (b *Broker) reparse(c *conn) error {
	header, err := wire.ParseHeader(c.in.buf[wire.FrameSizeBytes:c.in.firstFrame(b.config.MaxRequestBytes)])
	if err != nil {
		return err
	}
	c.header = header
	switch header.Key {
	case wire.KeyProduce:
		return c.produce.Parse(header.Version, header.Body)
	case wire.KeyFetch:
		return c.fetch.Parse(header.Version, header.Body)
	}
	return nil
}

// fetches are the partitions that the fetch under way is about. With a session they are the session's, also for the full
// request that begins it: a request may name a partition twice, a session has it once.
func (c *conn) fetches() []wire.FetchPartition {
	if c.incremental || c.answersSession != 0 {
		return c.session.partitions
	}
	return c.fetch.Partitions
}

// evaluate looks up what each partition of the fetch would be answered with, into b.results. final says that there is
// nothing to wait for: no partition at all, or one with an error.
func (b *Broker) evaluate(c *conn) (total int64, final bool) {
	wants := c.fetches()
	from := b.findPartitions(c, wants)
	left := int64(min(max(c.fetch.MaxBytes, 0), b.config.FetchMaxBytes))
	final = len(wants) == 0
	for n := range wants {
		i := from + n
		if i >= len(wants) {
			i -= len(wants)
		}
		r := &b.results[i]
		b.evaluateOne(r, &wants[i], left, total == 0)
		if c.fetch.Isolation == readCommitted && r.rng.Len > 0 && r.LastStableOffset < r.HighWatermark {
			cutUnstable(r, wants[i].FetchOffset)
		}
		if r.rng.Len > 0 && c.header.Version < zstdFrom {
			cutZstd(r)
		}
		final = final || r.ErrorCode != 0
		if total == 0 && r.rng.Len > 0 {
			b.firstServed = r.partition
		}
		total += r.rng.Len
		left = max(left-r.rng.Len, 0)
	}
	return total, final
}

// findPartitions begins b.results with the partitions, and says which of them comes first.
func (b *Broker) findPartitions(c *conn, wants []wire.FetchPartition) (from int) {
	b.results = b.results[:0]
	b.firstServed = nil
	for i := range wants {
		p := b.topics.find(wants[i].Topic, wants[i].Partition)
		if p != nil && p == c.served && i+1 < len(wants) {
			from = i + 1
		}
		b.results = append(b.results, fetchResult{partition: p})
	}
	return from
}

// evaluateOne fills in what r.partition is answered with, if left bytes may still be sent. The first batch of all may be
// larger.
func (b *Broker) evaluateOne(r *fetchResult, want *wire.FetchPartition, left int64, first bool) {
	r.FetchResult = wire.FetchResult{HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1}
	p := r.partition
	if p == nil {
		r.ErrorCode = b.topics.missing(want.Topic, want.Partition)
		return
	}
	if r.ErrorCode = checkLeaderEpoch(want.CurrentLeaderEpoch, p.log.LeaderEpoch()); r.ErrorCode != 0 {
		return
	}
	r.HighWatermark = p.log.HighWatermark()
	r.LastStableOffset = p.log.LastStableOffset()
	r.LogStartOffset = p.log.LogStartOffset()
	if left == 0 && !first {
		return
	}
	rng, err := p.log.Read(want.FetchOffset, min(int64(max(want.PartitionMaxBytes, 0)), left))
	switch {
	case errors.Is(err, segment.ErrOffsetOutOfRange):
		r.ErrorCode = wire.CodeOffsetOutOfRange
	case err != nil:
		r.ErrorCode = wire.CodeKafkaStorageError
		b.limitLog.warn(b.log, b.now, "fetch failed", "topic", p.topic.name, "partition", p.index, "error", err)
	case rng.Len <= left || first:
		r.rng = rng
		r.RecordsBytes = int32(rng.Len)
	}
}

// checkLeaderEpoch compares the epoch that a client knows (from v9 on, KIP-320) with the one that the log is
// written under.
func checkLeaderEpoch(epoch, current int32) int16 {
	switch {
	case epoch < 0 || epoch == current:
		return 0
	case epoch < current:
		return wire.CodeFencedLeaderEpoch
	}
	return wire.CodeUnknownLeaderEpoch
}

// leaderEpoch is the epoch of every partition that was made here: there is one leader, and it never changes. A directory
// that comes from elsewhere goes on with the epoch that it has.
const leaderEpoch = 0

// sendFetch encodes b.results as header bytes cut by ranges, fixes the frame's size, holds the segments, and starts
// the transfer.
func (b *Broker) sendFetch(c *conn) {
	wants := c.fetches()
	if c.answersSession != 0 {
		for i := range wants {
			b.results[i].silent = !c.session.told[i].changed(&b.results[i].FetchResult) && c.incremental
		}
	}
	if b.firstServed != nil {
		c.served = b.firstServed
	}
	head := wire.AppendFetchHead(b.scratch[:0], c.header.Version, c.header.CorrelationID, 0, c.answersSession, b.topicRuns(wants))
	b.cuts = b.cuts[:0]
	var payload int64
	left := 0 // of the run under way
	for i := range wants {
		r := &b.results[i]
		if !r.silent {
			if left == 0 {
				left = b.runFrom(wants, i)
				head = wire.AppendFetchTopic(head, wants[i].Topic, left)
			}
			left--
			if c.fetch.Isolation == readCommitted && r.rng.Len > 0 {
				b.addAborted(r, wants[i].FetchOffset)
			}
			head = wire.AppendFetchPartition(head, c.header.Version, wants[i].Partition, r.FetchResult)
			payload += r.rng.Len
		}
		b.cuts = append(b.cuts, len(head))
	}
	b.keepScratch(head)
	if err := wire.PatchFrameSize(head, int64(len(head))+payload); err != nil {
		b.closeConn(c, closedByProtocol, err)
		return
	}
	if mem, ok := b.place(c, head); ok {
		b.send(c, b.fetchParts(c, mem))
	}
}

// topicRuns is the number of topics in the response: partitions of one topic that follow each other share an entry.
func (b *Broker) topicRuns(wants []wire.FetchPartition) (n int) {
	last := -1
	for i := range wants {
		if b.results[i].silent {
			continue
		}
		if last < 0 || !bytes.Equal(wants[i].Topic, wants[last].Topic) {
			n++
		}
		last = i
	}
	return n
}

// runFrom is the number of partitions in the entry that begins with partition i.
func (b *Broker) runFrom(wants []wire.FetchPartition, i int) (n int) {
	for j := i; j < len(wants); j++ {
		if b.results[j].silent {
			continue
		}
		if !bytes.Equal(wants[j].Topic, wants[i].Topic) {
			break
		}
		n++
	}
	return n
}

// fetchParts joins header bytes and ranges: one part for each range, with all the header bytes before it.
func (b *Broker) fetchParts(c *conn, mem []byte) []transfer.Part {
	parts := c.flow.Parts()
	from := 0
	for i, cut := range b.cuts {
		r := &b.results[i].rng
		if r.Len == 0 {
			continue
		}
		r.Segment.Retain()
		parts = append(parts, transfer.Part{Head: mem[from:cut], Source: r.Segment, Pos: r.Pos, Len: r.Len})
		from = cut
		r.Segment = nil
	}
	if from < len(mem) {
		parts = append(parts, transfer.Part{Head: mem[from:]})
	}
	return parts
}
