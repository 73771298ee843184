package fanout

import (
	"errors"

	"oneplusn/fanout/transfer"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// fetchResult is what one partition of a fetch is answered with.
type fetchResult struct {
	wire.FetchResult
	rng segment.Range
}

// handleFetch answers a fetch, or lets it wait.
//
// Behaviour:
//   - The response holds whole batches, from the one that contains the offset on, below the high watermark.
//   - The first batch found is sent even if it is larger than the limits (KIP-74), so a consumer always gets on. The
//     first of another partition may be larger than that partition's limit, but not than what is left of the fetch's.
//   - A fetch with less than min_bytes to send waits up to max_wait, unless a partition has an error to tell.
//   - The last stable offset is the high watermark: there are no transactions.
//
// Versions: 4 to 11, the ones that end with the last partition's records, so that a response is header bytes and
// ranges by turns and ends with a range. From 7 on clients may ask for a fetch session (KIP-227): they get id 0, which
// means "send full requests", and do.
func (b *Broker) handleFetch(c *conn) error {
	if err := c.fetch.Parse(c.header.Version, c.header.Body); err != nil {
		return err
	}
	if c.fetch.SessionID != 0 && c.fetch.SessionEpoch > 0 {
		head := wire.AppendFetchHead(b.scratch[:0], c.header.Version, c.header.CorrelationID,
			wire.CodeFetchSessionIDNotFound, 0, 0)
		if err := wire.PatchFrameSize(head, int64(len(head))); err != nil {
			return err
		}
		b.respond(c, head)
		return nil
	}
	bytes, final := b.evaluate(c)
	if final || bytes >= int64(c.fetch.MinBytes) || c.fetch.MaxWaitMillis <= 0 || b.stopping {
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

// reparse reads a waiting fetch or produce again after its frame has moved.
func (b *Broker) reparse(c *conn) error {
	header, err := wire.ParseHeader(c.in.buf[wire.FrameSizeBytes:c.in.firstFrame(b.config.MaxRequestBytes)])
	if err != nil {
		return err
	}
	c.header = header
	if header.Key == wire.KeyProduce {
		return c.produce.Parse(header.Version, header.Body)
	}
	return c.fetch.Parse(header.Version, header.Body)
}

// evaluate looks up what each partition of the fetch would be answered with, into b.results. final says that there is
// nothing to wait for: no partition at all, or one with an error.
func (b *Broker) evaluate(c *conn) (bytes int64, final bool) {
	req := &c.fetch
	b.results = b.results[:0]
	left := int64(min(max(req.MaxBytes, 0), b.config.FetchMaxBytes))
	final = len(req.Partitions) == 0
	for i := range req.Partitions {
		r := b.evaluateOne(&req.Partitions[i], left, bytes == 0)
		final = final || r.ErrorCode != 0
		bytes += r.rng.Len
		left = max(left-r.rng.Len, 0)
		b.results = append(b.results, r)
	}
	return bytes, final
}

func (b *Broker) evaluateOne(want *wire.FetchPartition, left int64, first bool) fetchResult {
	r := fetchResult{FetchResult: wire.FetchResult{HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1}}
	p := b.topics.find(want.Topic, want.Partition)
	if p == nil {
		r.ErrorCode = wire.CodeUnknownTopicOrPartition
		return r
	}
	if code := checkLeaderEpoch(want.CurrentLeaderEpoch, p.log.LeaderEpoch()); code != 0 {
		r.ErrorCode = code
		return r
	}
	r.HighWatermark = p.log.HighWatermark()
	r.LastStableOffset = r.HighWatermark
	r.LogStartOffset = p.log.LogStartOffset()
	if left == 0 && !first {
		return r
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
	return r
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
	req := &c.fetch
	head := wire.AppendFetchHead(b.scratch[:0], c.header.Version, c.header.CorrelationID, 0, 0, req.Topics())
	b.cuts = b.cuts[:0]
	var payload int64
	for i := range req.Partitions {
		want, r := &req.Partitions[i], &b.results[i]
		if n := req.TopicStart(i); n > 0 {
			head = wire.AppendFetchTopic(head, want.Topic, n)
		}
		head = wire.AppendFetchPartition(head, c.header.Version, want.Partition, r.FetchResult)
		payload += r.rng.Len
		b.cuts = append(b.cuts, len(head))
	}
	b.scratch = head[:0]
	if err := wire.PatchFrameSize(head, int64(len(head))+payload); err != nil {
		b.closeConn(c, closedByProtocol, err)
		return
	}
	mem, err := b.place(c, head)
	if err != nil {
		b.closeConn(c, closedByMemory, err)
		return
	}
	b.engine.Start(&c.flow, b.fetchParts(c, mem))
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
