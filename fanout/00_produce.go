package fanout

import (
	"errors"
	"syscall"
	"time"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// handleProduce appends record batches.
//
// Behaviour:
//   - Each partition is on its own: one that fails does not stop the others.
//   - The batches are checked (magic 2, length, CRC32C, record count), given offsets, and written as they came;
//     compressed ones pass through untouched.
//   - The high watermark moves with the write, so acks=1 and acks=all promise the same.
//   - With acks=0 there is no response at all, not even for an error.
//
// Versions: 3 to 8 are read; 0 to 2 are advertised only because librdkafka before 2.11.1 compresses with gzip, snappy
// and lz4 only when the advertised range contains 0. From 7 on zstd is allowed (KIP-110).
func (b *Broker) handleProduce(c *conn) error {
	req := &c.produce
	if err := req.Parse(c.header.Version, c.header.Body); err != nil {
		return err
	}
	results := b.produced[:0]
	for i := range req.Partitions {
		results = append(results, b.produceOne(req, &req.Partitions[i]))
	}
	b.produced = results
	if req.Acks == 0 {
		b.respondNothing(c)
		return nil
	}
	b.respond(c, wire.AppendProduceResponse(b.scratch[:0], c.header.Version, c.header.CorrelationID, req, results))
	return nil
}

func (b *Broker) produceOne(req *wire.ProduceRequest, part *wire.ProducePartition) wire.ProduceResult {
	failed := wire.ProduceResult{BaseOffset: -1, LogAppendTimeMillis: -1, LogStartOffset: -1}
	if req.Acks < -1 || req.Acks > 1 {
		failed.ErrorCode = wire.CodeInvalidRequiredAcks
		return failed
	}
	if req.TransactionalID != nil {
		failed.ErrorCode = wire.CodeTransactionalIDAuthorizationFailed
		failed.ErrorMessage = noTransactions
		return failed
	}
	p := b.topics.find(part.Topic, part.Partition)
	if p == nil {
		failed.ErrorCode = wire.CodeUnknownTopicOrPartition
		return failed
	}
	appended, err := p.log.Append(part.Records, time.Now().UnixMilli())
	if err != nil {
		failed.ErrorCode, failed.ErrorMessage = produceError(err), err.Error()
		b.produceFailed(p, err)
		return failed
	}
	b.counters.publishedBytes += uint64(appended.Bytes)
	b.counters.publishedRecords += uint64(appended.Records)
	b.markGrown(p)
	return wire.ProduceResult{
		BaseOffset:          appended.BaseOffset,
		LogAppendTimeMillis: -1, // the timestamps are the producer's
		LogStartOffset:      appended.LogStartOffset,
	}
}

// produceError is the Kafka error that makes clients do the right thing: retry what may succeed, and give up on what
// cannot.
func produceError(err error) int16 {
	switch {
	case errors.Is(err, segment.ErrBatchCRC), errors.Is(err, segment.ErrBatchShort), errors.Is(err, segment.ErrBatchMalformed):
		return wire.CodeCorruptMessage
	case errors.Is(err, segment.ErrBatchMagic):
		return wire.CodeInvalidRecord
	case errors.Is(err, segment.ErrBatchTooLarge):
		return wire.CodeMessageTooLarge
	}
	return wire.CodeKafkaStorageError
}

// produceFailed logs failures of the disk. Those of the client's bytes are the client's to log.
func (b *Broker) produceFailed(p *partition, err error) {
	b.counters.produceErrors++
	if !errors.Is(err, segment.ErrStorage) || !b.storageLog.allow(b.now) {
		return
	}
	remedy := "see the error"
	if errors.Is(err, syscall.ENOSPC) {
		remedy = "free space on the data directory's file system: producers retry, and nothing that was acknowledged is lost"
	}
	b.log.Error("append failed", "topic", p.topic.name, "partition", p.index, "error", err, "remedy", remedy)
}

// markGrown notes that fetches that wait for the partition can be looked at, once all completions of this turn have
// been handled: several appends then wake them once.
func (b *Broker) markGrown(p *partition) {
	if !p.grown && p.waiters.n > 0 {
		p.grown = true
		b.grown = append(b.grown, p)
	}
}
