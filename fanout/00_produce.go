package fanout

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/records"
)

// produceResult is one partition of a produce: its way to the log, and what it is answered with.
type produceResult struct {
	wire.ProduceResult
	client *client
	// settled says that the answer is known: the append failed, or the high watermark has passed lastOffset where that is
	// waited for.
	settled    bool
	lastOffset int64
	check      batchCheck
	append     commit.Append
	wait       commit.Waiter // for the high watermark
}

// producing is the state of a connection's produce as a whole. While parts of it are being written the frame is pinned,
// and the connection is busy though its answer may have been sent.
type producing struct {
	unsettled int // parts
	writing   int // parts that wait for their write, or for its end
}

// handleProduce appends record batches.
//
// Behaviour:
//   - Each partition is on its own: one that fails does not stop the others.
//   - Each partition has one batch, which is checked down to the last record ([segment.Checker]), given offsets, and
//     written as it came, compressed or not; only a latest timestamp that is wrong in its header is corrected. Large and
//     compressed batches are checked in the background: see [batchChecks].
//   - acks=1 and acks=all promise the same, for there is one replica: what --fsync or the topic's flush.messages makes
//     of an acknowledgement. Where that is an fsync, the answer waits for it, at least for timeout_ms.
//   - With acks=0 there is no response at all. After an error the connection is closed, as by Apache Kafka: that is how
//     the producer learns that it has to ask for metadata again.
//   - A batch that an idempotent producer sends again is answered with the offset that it got, and not appended again.
//
// Versions: 3 to 8 are read; 0 to 2 are advertised only because librdkafka before 2.11.1 compresses with gzip, snappy
// and lz4 only when the advertised range contains 0. From 7 on zstd is allowed (KIP-110).
func (b *Broker) handleProduce(c *client) error {
	req := &c.produce
	req.Room = c.listRoom(produceListBytes)
	if err := req.Parse(c.header.Version, c.header.Body); err != nil {
		return err
	}
	c.produced = slices.Grow(c.produced[:0], len(req.Partitions))[:len(req.Partitions)]
	clear(c.produced)
	c.producing = producing{unsettled: len(c.produced)}
	for i := range c.produced {
		c.produced[i].client = c
	}
	if b.checkProduce(c) {
		b.appendProduce(c)
	}
	return nil
}

// awaitProduce parks the connection's produce until all its parts are settled.
func (b *Broker) awaitProduce(c *client) {
	c.deadline = b.loop.Now() + max(min(time.Duration(c.produce.TimeoutMillis)*time.Millisecond, maxWait), b.config.pace.produceWait)
	b.waiting.Push(c)
}

// minProduceWait is the least that a produce waits for its write and its sync, whatever its client says: a disk that takes a second
// is slow and not broken, and a retry would not make it faster.
const minProduceWait = time.Second

// produceTimedOut answers a produce that has waited for as long as its client would.
func (b *Broker) produceTimedOut(c *client) {
	for i := range c.produced {
		if r := &c.produced[i]; !r.settled {
			r.ProduceResult = failedProduce(wire.CodeRequestTimedOut, "the disk has not confirmed the write in time; it may still")
			r.settled = true
		}
	}
	c.producing.unsettled = 0
	b.answerProduce(c)
}

// appendProduce queues the batches of a produce that were found good, and answers if there are none.
func (b *Broker) appendProduce(c *client) {
	for i := range c.produced {
		r := &c.produced[i]
		p, err := r.check.partition, r.check.err
		r.check = batchCheck{}
		switch {
		case p == nil: // refused already
			r.settled = true
			c.producing.unsettled--
		case err != nil:
			b.produceFailed(&p.commit, err)
			r.ProduceResult, r.settled = failedProduce(produceError(err), err.Error()), true
			c.producing.unsettled--
		default:
			if c.producing.writing++; c.producing.writing == 1 {
				c.pin()
			}
			r.append.Owner = r
			b.committer.Append(&p.commit, &r.append)
		}
	}
	switch {
	case c.producing.unsettled > 0 && c.produce.Acks != 0:
		b.awaitProduce(c)
	case c.producing.unsettled > 0:
	case c.produce.Acks != 0:
		b.answerProduce(c)
	case !b.closeRefused(c):
		c.respondNothing()
	}
}

// closeRefused closes the connection of a produce with acks=0 of which something was refused.
func (b *Broker) closeRefused(c *client) bool {
	for i := range c.produced {
		if r := &c.produced[i]; r.ErrorCode != 0 {
			c.close(closedByRefused, fmt.Errorf("fanout: a produce with acks=0 was refused with error %d: %s", r.ErrorCode, r.ErrorMessage))
			return true
		}
	}
	return false
}

// answerProduce sends the response whose results are in c.produced.
func (b *Broker) answerProduce(c *client) {
	results := b.produced[:0]
	for i := range c.produced {
		results = append(results, c.produced[i].ProduceResult)
	}
	b.produced = results
	c.respond(wire.AppendProduceResponse(b.scratch[:0], c.header.Version, c.header.CorrelationID, &c.produce, results))
}

func failedProduce(code int16, message string) wire.ProduceResult {
	return wire.ProduceResult{ErrorCode: code, ErrorMessage: message, BaseOffset: -1, LogAppendTimeMillis: -1, LogStartOffset: -1}
}

// produceTo is the partition that a batch is for, or what it is refused with whatever it is.
func (b *Broker) produceTo(req *wire.ProduceRequest, part *wire.ProducePartition) (*partition, wire.ProduceResult) {
	if req.Acks < -1 || req.Acks > 1 {
		return nil, failedProduce(wire.CodeInvalidRequiredAcks, "")
	}
	if req.TransactionalID != nil {
		return nil, failedProduce(wire.CodeTransactionalIDAuthorizationFailed, noTransactions)
	}
	p := b.topics.find(part.Topic, part.Partition)
	if p == nil {
		return nil, failedProduce(b.topics.missing(part.Topic, part.Partition), "")
	}
	if p.topic.internal {
		return nil, failedProduce(wire.CodeInvalidTopic, "topic "+p.topic.name+" is the server's own")
	}
	return p, wire.ProduceResult{}
}

// Appended implements [commit.AppendOwner]: one partition of a produce was written, or not.
func (r *produceResult) Appended(p *commit.Partition, appended segment.Appended, err error) {
	c, b := r.client, r.client.broker
	c.producing.writing--
	last := c.producing.writing == 0
	switch {
	case err != nil:
		b.produceFailed(p, err)
	case appended.Duplicate:
		b.counters.duplicates++
	default:
		b.counters.publishedBytes += uint64(appended.Bytes)
		b.counters.publishedRecords += uint64(appended.Records)
	}
	switch {
	case c.state != connOpen: // nobody waits for it
	case !r.settled:
		b.answerPart(p, r, appended, err)
	}
	if last {
		c.unpin()
	}
}

// answerPart takes down how the append of one part ended, and settles it unless it has to wait for the disk.
func (b *Broker) answerPart(p *commit.Partition, r *produceResult, appended segment.Appended, err error) {
	if err != nil {
		r.ProduceResult = failedProduce(produceError(err), err.Error())
		b.settle(r)
		return
	}
	r.ProduceResult = wire.ProduceResult{
		BaseOffset:          appended.BaseOffset,
		LogAppendTimeMillis: appended.AppendTimeMillis,
		LogStartOffset:      appended.LogStartOffset,
	}
	r.lastOffset = appended.LastOffset
	// A duplicate waits too: its first copy may be on its way to the disk still.
	if r.client.produce.Acks != 0 && p.Policy().Waits() && r.lastOffset >= p.Log.HighWatermark() {
		r.wait.Owner = r
		b.committer.Await(p, &r.wait, r.lastOffset)
		return
	}
	b.settle(r)
}

// Committed implements [commit.WaitOwner].
func (r *produceResult) Committed(err error) {
	if err != nil {
		r.ProduceResult = failedProduce(produceError(err), err.Error())
	}
	r.client.broker.settle(r)
}

// settle notes that one part of a produce has its answer, and answers with the last.
func (b *Broker) settle(r *produceResult) {
	c := r.client
	r.settled = true
	if c.producing.unsettled--; c.producing.unsettled > 0 {
		return
	}
	if c.produce.Acks == 0 {
		if !b.closeRefused(c) {
			c.respondNothing()
		}
		return
	}
	b.unpark(c)
	b.answerProduce(c)
}

// produceErrors are the errors that a batch is refused with, and their codes. Only the first is one that clients send the
// batch again after.
var produceErrors = []struct {
	err  error
	code int16
}{
	{records.ErrCRC, wire.CodeCorruptMessage},
	{segment.ErrTransactional, wire.CodeTransactionalIDAuthorizationFailed},
	{segment.ErrBatchCount, wire.CodeInvalidRecord},
	{records.ErrShort, wire.CodeInvalidRecord},
	{records.ErrMagic, wire.CodeInvalidRecord},
	{records.ErrMalformed, wire.CodeInvalidRecord},
	{segment.ErrBatchTooLarge, wire.CodeMessageTooLarge},
	{segment.ErrInflatedTooLarge, wire.CodeMessageTooLarge},
	{segment.ErrBatchAboveSegment, wire.CodeRecordListTooLarge},
	{segment.ErrInvalidTimestamp, wire.CodeInvalidTimestamp},
	{segment.ErrCompression, wire.CodeUnsupportedCompressionType},
	{segment.ErrOutOfOrderSequence, wire.CodeOutOfOrderSequenceNumber},
	{segment.ErrInvalidProducerEpoch, wire.CodeInvalidProducerEpoch},
	{commit.ErrRemoved, wire.CodeUnknownTopicOrPartition},
}

// produceError is the Kafka error that makes clients do the right thing: retry what may succeed, and give up on what
// cannot.
func produceError(err error) int16 {
	for _, e := range produceErrors {
		if errors.Is(err, e.err) {
			return e.code
		}
	}
	return wire.CodeKafkaStorageError
}

// produceFailed logs failures of the disk. Those of the client's bytes are the client's to log.
func (b *Broker) produceFailed(p *commit.Partition, err error) {
	b.counters.produceErrors++
	if !errors.Is(err, segment.ErrStorage) || !b.storageLog.Allow(b.loop.Now()) {
		return
	}
	b.loop.Log.Error("append failed", "topic", p.Topic, "partition", p.Index, "error", err, "remedy", commit.StorageRemedy(err))
}
