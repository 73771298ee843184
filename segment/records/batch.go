package records

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

const (
	// HeaderSize is the size of a batch without records, which is the smallest batch.
	HeaderSize = 61
	// Overhead is the size of the fields that the length does not count: the base offset and the length itself.
	Overhead = 12
	// MaxBatchSize is the largest size that the length field can express.
	MaxBatchSize = 1<<31 - 1
	// CRCFrom is the start of the part of a batch that its CRC covers. The base offset and the leader epoch lie before it.
	CRCFrom = 21
	// NoTimestamp is the timestamp of a batch without one.
	NoTimestamp = -1

	lengthAt, epochAt, magicAt, crcAt = 8, 12, 16, 17
	maxTimestampAt                    = 35
	magicV2                           = 2
)

// The errors of invalid batches. Each has another cause: a read that ended early, another producer, the network or the
// disk.
var (
	// ErrShort: the bytes end before the batch does.
	ErrShort = errors.New("records: the batch is cut short")
	// ErrMagic: not record batch v2. Message formats 0 and 1 are not supported.
	ErrMagic = errors.New("records: the batch is not of format 2")
	// ErrCRC: the bytes are not those that the producer wrote.
	ErrCRC = errors.New("records: the batch's CRC does not match")
	// ErrMalformed: fields contradict each other.
	ErrMalformed = errors.New("records: the batch is malformed")
)

// Batch is the header of a record batch.
type Batch struct {
	BaseOffset int64
	// Length is the length field: the batch's size less [Overhead].
	Length          int32
	LeaderEpoch     int32
	Magic           int8
	CRC             uint32
	Attributes      Attributes
	LastOffsetDelta int32
	// BaseTimestamp and MaxTimestamp are in milliseconds since 1970, [NoTimestamp] for none.
	BaseTimestamp, MaxTimestamp int64
	// ProducerID is -1 if the producer is not idempotent.
	ProducerID    int64
	ProducerEpoch int16
	BaseSequence  int32
	RecordCount   int32
}

// Attributes are the bits that define the format of a batch.
type Attributes int16

const (
	codecBits Attributes = 7
	// AppendTime: all records have the batch's max timestamp, which is the broker's.
	AppendTime Attributes = 1 << 3
	// Transactional marks a batch of a transaction.
	Transactional Attributes = 1 << 4
	// Control marks a batch of transaction markers.
	Control Attributes = 1 << 5
)

// Codec is the compression of the records. It may be one that does not exist.
func (a Attributes) Codec() Codec { return Codec(a & codecBits) }

// Has reports whether all of the bits are set.
func (a Attributes) Has(bits Attributes) bool { return a&bits == bits }

// ParseBatch reads the header at the start of b. Without an error the magic is right and the size within bounds; nothing
// else has been checked.
func ParseBatch(b []byte) (Batch, error) {
	if len(b) < HeaderSize {
		return Batch{}, fmt.Errorf("%w: %d bytes are left, a header has %d", ErrShort, len(b), HeaderSize)
	}
	h := Batch{
		BaseOffset:      int64(binary.BigEndian.Uint64(b)),
		Length:          int32(binary.BigEndian.Uint32(b[lengthAt:])),
		LeaderEpoch:     int32(binary.BigEndian.Uint32(b[epochAt:])),
		Magic:           int8(b[magicAt]),
		CRC:             binary.BigEndian.Uint32(b[crcAt:]),
		Attributes:      Attributes(binary.BigEndian.Uint16(b[CRCFrom:])),
		LastOffsetDelta: int32(binary.BigEndian.Uint32(b[23:])),
		BaseTimestamp:   int64(binary.BigEndian.Uint64(b[27:])),
		MaxTimestamp:    int64(binary.BigEndian.Uint64(b[maxTimestampAt:])),
		ProducerID:      int64(binary.BigEndian.Uint64(b[43:])),
		ProducerEpoch:   int16(binary.BigEndian.Uint16(b[51:])),
		BaseSequence:    int32(binary.BigEndian.Uint32(b[53:])),
		RecordCount:     int32(binary.BigEndian.Uint32(b[57:])),
	}
	switch {
	case h.Magic != magicV2:
		return h, fmt.Errorf("%w: its magic is %d", ErrMagic, h.Magic)
	case h.Length < HeaderSize-Overhead || h.Length > MaxBatchSize-Overhead:
		return h, fmt.Errorf("%w: its length field is %d, allowed are %d to %d", ErrMalformed,
			h.Length, HeaderSize-Overhead, MaxBatchSize-Overhead)
	}
	return h, nil
}

// Size is the number of bytes of the whole batch.
func (h Batch) Size() int { return int(h.Length) + Overhead }

// LastOffset is the offset of the batch's last record.
func (h Batch) LastOffset() int64 { return h.BaseOffset + int64(h.LastOffsetDelta) }

// NextOffset is the offset that follows the batch.
func (h Batch) NextOffset() int64 { return h.LastOffset() + 1 }

// CheckBatch parses the batch at the start of b and checks that it is there whole, its CRC, and that its counts agree.
// b may hold more behind it. The records are not read.
func CheckBatch(b []byte) (Batch, error) {
	h, err := ParseBatch(b)
	if err != nil {
		return h, err
	}
	if h.Size() > len(b) {
		return h, fmt.Errorf("%w: it has %d bytes, %d are left", ErrShort, h.Size(), len(b))
	}
	if err := h.CheckCRC(UpdateCRC(0, b[CRCFrom:h.Size()])); err != nil {
		return h, err
	}
	return h, h.CheckCounts()
}

// CheckCRC compares the header's CRC with the one of the batch's bytes from [CRCFrom] on.
func (h Batch) CheckCRC(sum uint32) error {
	if sum != h.CRC {
		return fmt.Errorf("%w: the header says %08x, the bytes say %08x", ErrCRC, h.CRC, sum)
	}
	return nil
}

// CheckCounts refuses counts that contradict each other. A compacted batch has fewer records than offsets, down to none;
// never more.
func (h Batch) CheckCounts() error {
	if h.LastOffsetDelta < 0 || h.RecordCount < 0 || int64(h.RecordCount) > int64(h.LastOffsetDelta)+1 {
		return fmt.Errorf("%w: %d records in %d offsets", ErrMalformed, h.RecordCount, int64(h.LastOffsetDelta)+1)
	}
	return nil
}

// MayBegin reports whether b, of at least [HeaderSize] bytes, has the magic of a batch: a cheap test before [ParseBatch].
func MayBegin(b []byte) bool { return b[magicAt] == magicV2 }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// UpdateCRC adds bytes to a CRC32C, which begins as 0. Batches, producer snapshots and test values have one.
func UpdateCRC(sum uint32, b []byte) uint32 { return crc32.Update(sum, castagnoli, b) }
