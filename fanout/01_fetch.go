package fanout

import (
	"bytes"
	"errors"
	"time"

	"oneplusn/fanout/transfer"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// fetchResult is what one partition of a fetch is answered with.
type fetchResult struct {
	wire.FetchResult
	partition *partition // nil if there is none
	rng       segment.Range
	// place begins where the fetch's offset is; its segment is nil if there is an error, or nobody has looked.
	place segment.Range
	// readable is how much there is to read in bytes, as it counts towards min_bytes; ended says that more follows in
	// another segment.
	readable int64
	ended    bool
	// cold says that the disk has to be asked, looked is what it has answered, or nil.
	cold   bool
	looked *segment.Lookup
	// repeated says that the fetch names the partition before: here it has no records.
	repeated bool
	// silent says that a session's client need not be told of it.
	silent bool
}

// handleFetch answers a fetch, or lets it wait.
//
// Behaviour:
//   - The response holds whole batches below the high watermark, from the one that contains the offset on, or the first one
//     above it if that was compacted away.
//   - It is longer than max_bytes or --fetch-max-bytes, and a partition's records longer than its max_bytes, only if the very
//     first batch of the response is (KIP-74), so that a consumer always gets on.
//   - Of a partition that it names more than once there are records once, so that what a request costs is bounded.
//   - A fetch with less than min_bytes to read waits up to max_wait, unless a partition has an error to tell or goes on in
//     another segment. Of min_bytes no more counts than the response may have.
//   - What can't be told without the disk is looked up in the background first: see [coldLookups].
//   - Readers of committed data get the list of aborted transactions, and nothing from the last stable offset on. Both come
//     from directories that a Kafka broker wrote: there are no transactions here.
//   - What a fetch may carry is shared out from another partition on each time, the one behind that which came first the
//     last time, so none is starved by those before it.
//
// Versions: 4 to 11, the ones that end with the last partition's records, so that a response is header bytes and
// ranges by turns and ends with a range. From 7 on with fetch sessions (KIP-227): see [fetchSession]. Clients below 10
// do not know zstd, and get UNSUPPORTED_COMPRESSION_TYPE (KIP-110).
func (b *Broker) handleFetch(c *client) error {
	c.fetch.Room = c.listRoom(fetchListBytes)
	if err := c.fetch.Parse(c.header.Version, c.header.Body); err != nil {
		return err
	}
	if code := b.enterSession(c); code != 0 {
		head := wire.AppendFetchHead(b.scratch[:0], c.header.Version, c.header.CorrelationID, code, 0, 0)
		if err := wire.PatchFrameSize(head, int64(len(head))); err != nil {
			return err
		}
		c.respond(head)
		return nil
	}
	b.tryFetch(c)
	return nil
}

// tryFetch answers the fetch, or lets it wait: for the disk, for its partitions to grow, or for max_wait to pass.
func (b *Broker) tryFetch(c *client) {
	e := b.evaluate(c)
	if e.cold && (e.sent == 0 || !c.lookups.made()) && b.lookUp(c, e.from) {
		return
	}
	if e.cold || e.final || e.readable >= b.minBytes(c) || b.loop.Now() >= c.fetchDeadline() || b.stopping {
		b.sendFetch(c)
		return
	}
	b.park(c)
}

// maxBytes is how many bytes of records the response may have.
func (b *Broker) maxBytes(c *client) int64 {
	return int64(min(max(c.fetch.MaxBytes, 0), b.config.FetchMaxBytes))
}

// minBytes is how many there have to be. What the response may not have is not waited for.
func (b *Broker) minBytes(c *client) int64 { return min(int64(c.fetch.MinBytes), b.maxBytes(c)) }

// fetchDeadline is when the fetch has waited for as long as its client would.
func (c *client) fetchDeadline() time.Duration {
	return c.startedAt + min(time.Duration(c.fetch.MaxWaitMillis)*time.Millisecond, maxWait)
}

// fetches are the partitions that the fetch under way is about. With a session they are the session's, also for the full
// request that begins it: a request may name a partition twice, a session has it once.
func (c *client) fetches() []wire.FetchPartition {
	if c.incremental || c.answersSession != 0 {
		return c.session.partitions
	}
	return c.fetch.Partitions
}

// evaluation is what a fetch could be answered with.
type evaluation struct {
	// readable is what counts towards min_bytes, sent what the response would have of it.
	readable, sent int64
	// final says that there is nothing to wait for: no partition at all, one with an error, or one that more follows of.
	final bool
	// cold says that a partition's place is not known without the disk. It has no records yet.
	cold bool
	from int // the partition that comes first
}

// evaluate finds out what each partition of the fetch would be answered with, into b.results.
func (b *Broker) evaluate(c *client) (e evaluation) {
	wants := c.fetches()
	b.evaluated.begin(len(wants))
	e.from = b.findPartitions(c, wants)
	e.final = len(wants) == 0
	left, first := b.maxBytes(c), true
	for n := range wants {
		i := e.from + n
		if i >= len(wants) {
			i -= len(wants)
		}
		r, want := &b.results[i], &wants[i]
		b.evaluateOne(c, r, want, left, first)
		took := r.rng.Len
		switch {
		case r.cold: // others are not looked up for what this one will take
			e.cold = true
			took = min(left, int64(max(want.PartitionMaxBytes, 1)))
		case took > 0 && first:
			b.firstServed = r.partition
		}
		first = first && took == 0
		left = max(left-took, 0)
		e.sent += r.rng.Len
		e.readable += r.readable
		e.final = e.final || r.ErrorCode != 0 || r.ended
	}
	return e
}

// findPartitions begins b.results with the partitions, and says which of them comes first.
func (b *Broker) findPartitions(c *client, wants []wire.FetchPartition) (from int) {
	b.results = b.results[:0]
	b.firstServed = nil
	for i := range wants {
		p := b.topics.find(wants[i].Topic, wants[i].Partition)
		if p != nil && p == c.served && i+1 < len(wants) {
			from = i + 1
		}
		b.results = append(b.results, fetchResult{partition: p})
	}
	c.lookups.addTo(b.results)
	return from
}

// evaluateOne fills in what r.partition is answered with, if left bytes may still be sent. The first batch of all may be
// larger.
func (b *Broker) evaluateOne(c *client, r *fetchResult, want *wire.FetchPartition, left int64, first bool) {
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
	if want.FetchOffset < r.LogStartOffset || want.FetchOffset > r.HighWatermark {
		r.ErrorCode = wire.CodeOffsetOutOfRange
		return
	}
	unstable := c.fetch.Isolation == readCommitted && r.LastStableOffset < r.HighWatermark
	r.repeated = !b.evaluated.first(p)
	if r.repeated || left == 0 && !first || unstable && want.FetchOffset >= r.LastStableOffset {
		return
	}
	limit := int64(max(want.PartitionMaxBytes, 0))
	rng, err := r.read(want.FetchOffset, min(limit, left))
	if err != nil {
		b.unread(r, err)
		return
	}
	behind, ended := p.log.Behind(rng)
	r.place, r.readable, r.ended = rng, max(min(behind, limit), rng.Len), ended
	if rng.Len == 0 || rng.Len > min(limit, left) && !first {
		return
	}
	r.rng = rng
	if unstable {
		cutUnstable(r)
	}
	if c.header.Version < zstdFrom && r.rng.Len > 0 {
		b.cutZstd(r)
	}
	r.RecordsBytes = int32(r.rng.Len)
}

// read reads at an offset, with what was looked up for it.
func (r *fetchResult) read(offset, maxBytes int64) (segment.Range, error) {
	if r.looked != nil {
		return r.partition.log.Looked(r.looked, offset, maxBytes)
	}
	return r.partition.log.Read(offset, maxBytes)
}

// unread notes why there are no records of a partition.
func (b *Broker) unread(r *fetchResult, err error) {
	r.rng = segment.Range{}
	switch {
	case errors.Is(err, segment.ErrCold):
		r.cold = true
	case errors.Is(err, segment.ErrOffsetOutOfRange):
		r.ErrorCode = wire.CodeOffsetOutOfRange
	default:
		r.ErrorCode = wire.CodeKafkaStorageError
		b.limitLog.Warn(b.loop.Log, b.loop.Now(), "fetch failed", "topic", r.partition.topic.name, "partition", r.partition.index, "error", err)
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

// leaderEpoch is the first epoch of every partition that is made here. See [segment.Log.LeaderEpoch] and leaderEpochs for those
// that follow; a directory that comes from elsewhere goes on with the one that it has.
const leaderEpoch = 0

// sendFetch encodes b.results as header bytes cut by ranges, fixes the frame's size, holds the segments, and starts
// the transfer.
func (b *Broker) sendFetch(c *client) {
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
		c.close(closedByProtocol, err)
		return
	}
	if mem, ok := c.place(head); ok {
		c.lookups.forget()
		c.send(b.fetchParts(c, mem))
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
func (b *Broker) fetchParts(c *client, mem []byte) []transfer.Part {
	parts := c.flow.Parts()
	from := 0
	for i, cut := range b.cuts {
		r := &b.results[i].rng
		if r.Len == 0 {
			continue
		}
		r.Segment.Retain()
		parts = append(parts, transfer.Part{Header: mem[from:cut], Source: r.Segment, Pos: r.Pos, Len: r.Len})
		from = cut
		r.Segment = nil
	}
	if from < len(mem) {
		parts = append(parts, transfer.Part{Header: mem[from:]})
	}
	return parts
}
