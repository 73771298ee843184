// Package records is everything about Kafka record batches of format 2 (Kafka 0.11 and later): parsing and checking headers,
// building batches, reading their records, compressed or not. It is pure: bytes in, records or an error out.
//
// A batch (all numbers big-endian):
//
//	 0 base offset            int64   the log assigns it
//	 8 batch length           int32   counts what follows it
//	12 partition leader epoch int32   the log assigns it
//	16 magic                  int8    2
//	17 CRC32C                 uint32  of everything from 21 on
//	21 attributes             int16   bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control
//	23 last offset delta      int32
//	27 base timestamp         int64   milliseconds since 1970
//	35 max timestamp          int64
//	43 producer id            int64
//	51 producer epoch         int16
//	53 base sequence          int32
//	57 record count           int32
//	61 records
//
// [ParseBatch] and [CheckBatch] read headers, [AppendRecord] and [Seal] build batches, [Reader] iterates over records.
//
// A Reader's memory does not depend on what a batch claims. It inflates as a stream: it holds a window of the inflated bytes and
// the codec's own history, never the whole. The exception is Snappy without framing, which can only be inflated whole: a walk over
// the compressed bytes finds the size and compares it with the limit before memory is allocated.
//
// The decoders of Java, librdkafka and Go differ in what they accept. A Reader accepts only what all of them do: it refuses an LZ4
// frame without its end mark or with dependent blocks, the extensions of S2 within Snappy, and bytes behind the end of the
// compressed data.
package records

import "errors"

// Codec is the compression of a batch's records.
type Codec uint8

// The codecs of Kafka. 5 to 7 are not assigned.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

// String is the name in compression.type.
func (c Codec) String() string {
	if c > Zstd {
		return "unknown"
	}
	return [...]string{"none", "gzip", "snappy", "lz4", "zstd"}[c]
}

var (
	// ErrInvalid: the bytes are not valid records.
	ErrInvalid = errors.New("records: invalid")
	// ErrCodec: the codec is not one of Kafka's.
	ErrCodec = errors.New("records: the codec is unknown")
	// ErrTooLarge: the records inflate to more than the limit.
	ErrTooLarge = errors.New("records: they inflate to more than allowed")
	// ErrWindow: the compressed data needs a larger history than a [Reader] allocates without Large.
	ErrWindow = errors.New("records: the window is too large")
)
