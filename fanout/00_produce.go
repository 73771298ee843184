package fanout

import (
	"oneplusn/fanout/commit"
	"oneplusn/fanout/produce"
	"oneplusn/fanout/wire"
)

func init() {
	registerRaw(wire.KeyProduce, handleProduce, Request{Min: 0, Max: 8, AcceptMin: 3,
		Does:     "appends record batches",
		Versions: "3 to 8 are read. 0 to 2 are only advertised, because librdkafka before 2.11.1 compresses with gzip, snappy and lz4 only if the range contains 0. From 7 on zstd is allowed (KIP-110)",
		Errors: []int16{wire.CodeCorruptMessage, wire.CodeUnknownTopicOrPartition, wire.CodeRequestTimedOut,
			wire.CodeMessageTooLarge, wire.CodeInvalidTopic, wire.CodeRecordListTooLarge, wire.CodeInvalidRequiredAcks,
			wire.CodeInvalidTimestamp, wire.CodeOutOfOrderSequenceNumber, wire.CodeInvalidProducerEpoch,
			wire.CodeTransactionalIDAuthorizationFailed, wire.CodeKafkaStorageError, wire.CodeUnsupportedCompressionType,
			wire.CodeInvalidRecord},
	})
}

// handleProduce appends record batches.
//
// Behaviour:
//   - Partitions succeed or fail independently.
//   - Each partition has one batch, which is checked down to the last record ([segment.Checker]), given offsets, and
//     written as it came, compressed or not; only a latest timestamp that is wrong in its header is corrected. Large and
//     compressed batches are checked in the background: see package produce.
//   - acks=1 and acks=all promise the same, because there is one replica: --fsync and the topic's flush.messages decide
//     whether the answer waits for an fsync, and it waits at least timeout_ms.
//   - With acks=0 there is no response. After an error the connection is closed, as by Apache Kafka: so the producer asks
//     for metadata again.
//   - A batch that an idempotent producer sends again is answered with the offset that it got, and not appended again.
func handleProduce(_ *base, c *client) error {
	return c.produce.Start(&c.header, c.listRoom(produce.ListBytesPerPartition))
}

// findToAppend implements [produce.Find].
func (b *base) findToAppend(topic []byte, index int32) (*commit.Partition, int16, string) {
	switch p, code := b.catalog.Find(topic, index); {
	case p == nil:
		return nil, code, ""
	case p.Topic.Internal:
		return nil, wire.CodeInvalidTopic, "topic " + p.Topic.Name + " is the server's own"
	default:
		return &p.Commit, 0, ""
	}
}
