package fanout

import (
	"errors"
	"syscall"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// produceResult is what one partition of a produce is answered with.
type produceResult struct {
	wire.ProduceResult
	// waits says that the answer is due when the partition's high watermark has passed lastOffset.
	waits      bool
	partition  *partition
	lastOffset int64
}

// handleProduce appends record batches.
//
// Behaviour:
//   - Each partition is on its own: one that fails does not stop the others.
//   - Each partition has one batch, which is checked down to the last record ([segment.Checker]), given offsets, and
//     written as it came, compressed or not; only a latest timestamp that is wrong in its header is corrected.
//   - acks=1 and acks=all promise the same, for there is one replica: what --fsync or the topic's flush.messages makes
//     of an acknowledgement. Where that is an fsync, the answer waits for it, at least for timeout_ms.
//   - With acks=0 there is no response at all, not even for an error.
//   - A batch that an idempotent producer sends again is answered with the offset that it got, and not appended again.
//
// Versions: 3 to 8 are read; 0 to 2 are advertised only because librdkafka before 2.11.1 compresses with gzip, snappy
// and lz4 only when the advertised range contains 0. From 7 on zstd is allowed (KIP-110).
func (b *Broker) handleProduce(c *conn) error {
	req := &c.produce
	req.Room = b.listRoom(c, produceListBytes)
	if err := req.Parse(c.header.Version, c.header.Body); err != nil {
		return err
	}
	c.produced = c.produced[:0]
	for i := range req.Partitions {
		c.produced = append(c.produced, b.produceOne(c.header.Version, req, &req.Partitions[i]))
	}
	if req.Acks == 0 {
		b.respondNothing(c)
		return nil
	}
	if !b.awaitCommit(c) {
		b.answerProduce(c)
	}
	return nil
}

// answerProduce sends the response whose results are in c.produced.
func (b *Broker) answerProduce(c *conn) {
	results := b.produced[:0]
	for i := range c.produced {
		results = append(results, c.produced[i].ProduceResult)
		c.produced[i].partition = nil
	}
	b.produced = results
	b.respond(c, wire.AppendProduceResponse(b.scratch[:0], c.header.Version, c.header.CorrelationID, &c.produce, results))
}

// zstdSince is the version of Produce from which on batches may be compressed with zstd (KIP-110).
const zstdSince = 7

func failedProduce(code int16, message string) wire.ProduceResult {
	return wire.ProduceResult{ErrorCode: code, ErrorMessage: message, BaseOffset: -1, LogAppendTimeMillis: -1, LogStartOffset: -1}
}

func refusedProduce(code int16, message string) produceResult {
	return produceResult{ProduceResult: failedProduce(code, message)}
}

func (b *Broker) produceOne(version int16, req *wire.ProduceRequest, part *wire.ProducePartition) produceResult {
	if req.Acks < -1 || req.Acks > 1 {
		return refusedProduce(wire.CodeInvalidRequiredAcks, "")
	}
	if req.TransactionalID != nil {
		return refusedProduce(wire.CodeTransactionalIDAuthorizationFailed, noTransactions)
	}
	p := b.topics.find(part.Topic, part.Partition)
	if p == nil {
		return refusedProduce(b.topics.missing(part.Topic, part.Partition), "")
	}
	if p.topic.internal {
		return refusedProduce(wire.CodeInvalidTopic, "topic "+p.topic.name+" is the server's own")
	}
	now := b.wallMillis()
	checked, err := b.checker.Check(part.Records, p.log.Rules(), version >= zstdSince, now)
	var appended segment.Appended
	if err == nil {
		appended, err = p.log.AppendChecked(part.Records, checked, now)
	}
	if err != nil {
		b.produceFailed(p, err)
		return refusedProduce(produceError(err), err.Error())
	}
	if !appended.Duplicate {
		b.counters.publishedBytes += uint64(appended.Bytes)
		b.counters.publishedRecords += uint64(appended.Records)
		b.wrote(p, appended.Records)
		b.markGrown(p)
		b.logWork(p)
	} else {
		b.counters.duplicates++
	}
	return produceResult{
		ProduceResult: wire.ProduceResult{
			BaseOffset:          appended.BaseOffset,
			LogAppendTimeMillis: appended.AppendTimeMillis,
			LogStartOffset:      appended.LogStartOffset,
		},
		// A duplicate too: its first copy may be on its way to the disk still.
		waits:      p.policy.waits() && appended.LastOffset >= p.log.HighWatermark(),
		partition:  p,
		lastOffset: appended.LastOffset,
	}
}

// logWork runs the file work that a log has put off, until there is none: the loop does none.
func (b *Broker) logWork(p *partition) {
	work := p.log.Work()
	if work == nil {
		return
	}
	b.background(func() func() {
		done := work()
		return func() {
			done()
			b.logWork(p)
		}
	})
}

// produceErrors are the errors that a batch is refused with, and their codes. Only the first is one that clients send the
// batch again after.
var produceErrors = []struct {
	err  error
	code int16
}{
	{segment.ErrBatchCRC, wire.CodeCorruptMessage},
	{segment.ErrTransactional, wire.CodeTransactionalIDAuthorizationFailed},
	{segment.ErrBatchCount, wire.CodeInvalidRecord},
	{segment.ErrBatchShort, wire.CodeInvalidRecord},
	{segment.ErrBatchMagic, wire.CodeInvalidRecord},
	{segment.ErrBatchMalformed, wire.CodeInvalidRecord},
	{segment.ErrBatchTooLarge, wire.CodeMessageTooLarge},
	{segment.ErrInflatedTooLarge, wire.CodeMessageTooLarge},
	{segment.ErrBatchAboveSegment, wire.CodeRecordListTooLarge},
	{segment.ErrInvalidTimestamp, wire.CodeInvalidTimestamp},
	{segment.ErrCompression, wire.CodeUnsupportedCompressionType},
	{segment.ErrOutOfOrderSequence, wire.CodeOutOfOrderSequenceNumber},
	{segment.ErrInvalidProducerEpoch, wire.CodeInvalidProducerEpoch},
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
func (b *Broker) produceFailed(p *partition, err error) {
	b.counters.produceErrors++
	if !errors.Is(err, segment.ErrStorage) || !b.storageLog.allow(b.now) {
		return
	}
	b.log.Error("append failed", "topic", p.topic.name, "partition", p.index, "error", err, "remedy", storageRemedy(err))
}

// storageRemedy is what the operator can do about a failed write.
func storageRemedy(err error) string {
	const nothingLost = ": producers retry, and nothing that was acknowledged is lost"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "free space on the data directory's file system" + nothingLost
	case errors.Is(err, syscall.EROFS):
		return "the file system has become read-only, often after an error of the disk: see the kernel's log, mend it and mount it read-write" + nothingLost
	case errors.Is(err, syscall.EIO):
		return "the disk failed: see the kernel's log" + nothingLost
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "raise the limit on open files (ulimit -n, LimitNOFILE=)" + nothingLost
	}
	return "see the error" + nothingLost
}

// markGrown notes that fetches that wait for the partition can be looked at, once all completions of this turn have
// been handled: several appends then wake them once.
func (b *Broker) markGrown(p *partition) {
	if !p.grown && p.waiters.n > 0 {
		p.grown = true
		b.grown = append(b.grown, p)
	}
}
