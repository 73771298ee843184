package produce

import (
	"errors"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/records"
)

// NoTransactions answers clients that ask for transactions.
const NoTransactions = "this server has no transactions: remove transactional.id from the producer's configuration"

// codes are the errors for refused batches. Clients retry after the first only.
var codes = []struct {
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

// refusal returns the Kafka error for a refused batch: a retriable one only where a retry may succeed.
func refusal(err error) wire.ProduceResult {
	for _, e := range codes {
		if errors.Is(err, e.err) {
			return failed(e.code, err.Error())
		}
	}
	return failed(wire.CodeKafkaStorageError, err.Error())
}

func failed(code int16, message string) wire.ProduceResult {
	return wire.ProduceResult{ErrorCode: code, ErrorMessage: message, BaseOffset: -1, LogAppendTimeMillis: -1, LogStartOffset: -1}
}
