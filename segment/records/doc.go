// Package records reads the records of one batch, compressed or not, in memory that does not depend on what the batch
// says of itself. It is pure: bytes in, records or an error out.
//
// A [Reader] inflates as a stream: it holds a window of the inflated bytes and the codec's own history, never the whole.
// The exception is Snappy without framing, which can only be inflated whole: there the size is found by walking over the
// compressed bytes, and compared with the limit, before memory for it is taken.
//
// What it refuses, some client could not read: where the decoders of Java, librdkafka and Go differ in what they take,
// only what all of them take is taken (an LZ4 frame without its end mark, or with blocks that depend on each other; the
// extensions of S2 within Snappy; bytes behind the end of the compressed data).
package records

import "errors"

// Codec is how the records of a batch are compressed: the low three bits of its attributes.
type Codec uint8

// The codecs of Kafka. 5 to 7 are not assigned.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

// String is the codec's name as in compression.type.
func (c Codec) String() string {
	if c > Zstd {
		return "unknown"
	}
	return [...]string{"none", "gzip", "snappy", "lz4", "zstd"}[c]
}

var (
	// ErrInvalid says that the bytes are not the records that they should be.
	ErrInvalid = errors.New("records: invalid")
	// ErrCodec says that the codec is not one of Kafka's.
	ErrCodec = errors.New("records: the codec is unknown")
	// ErrTooLarge says that the records inflate to more than the limit.
	ErrTooLarge = errors.New("records: they inflate to more than allowed")
	// ErrWindow says that the compressed data asks for a larger history than [Reader] keeps for small batches:
	// [Reader.Large] reads it.
	ErrWindow = errors.New("records: the window is too large")
)
