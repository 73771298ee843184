package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

const (
	// BatchHeaderSize is the size of a batch without records, and the least that a batch can be.
	BatchHeaderSize = 61
	// batchOverhead is what the length field does not count: base offset and the field itself.
	batchOverhead = 12
	// MaxBatchSize bounds a batch by the range of its length field.
	MaxBatchSize = 1<<31 - 1

	epochAt = 12
	magicAt = 16
	crcAt   = 17
	crcFrom = 21

	maxTimestampAt = 35

	magicV2 = 2
	// noTimestamp is the timestamp of a batch without one.
	noTimestamp = -1
)

// The ways in which bytes can fail to be a batch. Each asks for something else: more bytes, another producer, a look at
// the network or the disk.
var (
	// ErrBatchShort: the bytes end before the batch does.
	ErrBatchShort = errors.New("segment: the batch is cut short")
	// ErrBatchMagic: not record batch v2. Message formats 0 and 1 are not supported.
	ErrBatchMagic = errors.New("segment: the batch is not of format 2")
	// ErrBatchCRC: the bytes are not those that the producer wrote.
	ErrBatchCRC = errors.New("segment: the batch's CRC does not match")
	// ErrBatchMalformed: fields contradict each other.
	ErrBatchMalformed = errors.New("segment: the batch is malformed")
	// ErrBatchTooLarge: the batch is above Options.MaxBatchBytes.
	ErrBatchTooLarge = errors.New("segment: the batch is larger than allowed")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch is the header of a record batch.
type Batch struct {
	BaseOffset int64
	// Length is the length field: the batch's size less the 12 bytes up to and with this field.
	Length          int32
	LeaderEpoch     int32
	Magic           int8
	CRC             uint32
	Attributes      int16
	LastOffsetDelta int32
	// BaseTimestamp and MaxTimestamp are in milliseconds since 1970, -1 for none.
	BaseTimestamp, MaxTimestamp int64
	// ProducerID is -1 if the producer is not idempotent.
	ProducerID    int64
	ProducerEpoch int16
	BaseSequence  int32
	RecordCount   int32
}

// ParseBatch reads the header at the start of b, which must hold at least [BatchHeaderSize] bytes. The batch's size is
// within bounds if there is no error; nothing else about it has been checked but the magic.
func ParseBatch(b []byte) (Batch, error) {
	if len(b) < BatchHeaderSize {
		return Batch{}, fmt.Errorf("%w: %d bytes are left, a header has %d", ErrBatchShort, len(b), BatchHeaderSize)
	}
	h := Batch{
		BaseOffset:      int64(binary.BigEndian.Uint64(b)),
		Length:          int32(binary.BigEndian.Uint32(b[8:])),
		LeaderEpoch:     int32(binary.BigEndian.Uint32(b[epochAt:])),
		Magic:           int8(b[magicAt]),
		CRC:             binary.BigEndian.Uint32(b[crcAt:]),
		Attributes:      int16(binary.BigEndian.Uint16(b[crcFrom:])),
		LastOffsetDelta: int32(binary.BigEndian.Uint32(b[23:])),
		BaseTimestamp:   int64(binary.BigEndian.Uint64(b[27:])),
		MaxTimestamp:    int64(binary.BigEndian.Uint64(b[35:])),
		ProducerID:      int64(binary.BigEndian.Uint64(b[43:])),
		ProducerEpoch:   int16(binary.BigEndian.Uint16(b[51:])),
		BaseSequence:    int32(binary.BigEndian.Uint32(b[53:])),
		RecordCount:     int32(binary.BigEndian.Uint32(b[57:])),
	}
	switch {
	case h.Magic != magicV2:
		return h, fmt.Errorf("%w: its magic is %d", ErrBatchMagic, h.Magic)
	case h.Length < BatchHeaderSize-batchOverhead || h.Length > MaxBatchSize-batchOverhead:
		return h, fmt.Errorf("%w: its length field is %d, allowed are %d to %d", ErrBatchMalformed,
			h.Length, BatchHeaderSize-batchOverhead, MaxBatchSize-batchOverhead)
	}
	return h, nil
}

// Size is the number of bytes of the whole batch.
func (b Batch) Size() int { return int(b.Length) + batchOverhead }

// LastOffset is the offset of the batch's last record.
func (b Batch) LastOffset() int64 { return b.BaseOffset + int64(b.LastOffsetDelta) }

// NextOffset is the offset that follows the batch.
func (b Batch) NextOffset() int64 { return b.LastOffset() + 1 }

// CheckBatch parses the batch at the start of b and checks all of it: that it is there whole, its CRC, and that its
// counts can be true. b may hold more behind it.
func CheckBatch(b []byte) (Batch, error) {
	h, err := ParseBatch(b)
	if err != nil {
		return h, err
	}
	if h.Size() > len(b) {
		return h, fmt.Errorf("%w: it has %d bytes, %d are left", ErrBatchShort, h.Size(), len(b))
	}
	if crc := crc32.Checksum(b[crcFrom:h.Size()], castagnoli); crc != h.CRC {
		return h, fmt.Errorf("%w: the header says %08x, the bytes say %08x", ErrBatchCRC, h.CRC, crc)
	}
	return h, h.checkCounts()
}

// checkCounts refuses counts that contradict each other. A compacted batch has fewer records than offsets, down to
// none; never more.
func (b Batch) checkCounts() error {
	if b.LastOffsetDelta < 0 || b.RecordCount < 0 || int64(b.RecordCount) > int64(b.LastOffsetDelta)+1 {
		return fmt.Errorf("%w: %d records in %d offsets", ErrBatchMalformed, b.RecordCount, int64(b.LastOffsetDelta)+1)
	}
	return nil
}

// Bits of the attributes.
const (
	// codecBits are 0 for records that are not compressed.
	codecBits = 7
	// appendTimeBit: the records' time is the batch's max timestamp, and that is the broker's.
	appendTimeBit = 1 << 3
	// transactionalBit marks a batch of a transaction.
	transactionalBit = 1 << 4
	// controlBit marks a batch of transaction markers.
	controlBit = 1 << 5
)

// assign writes what the log decides into a batch, outside its CRC.
func assign(batch []byte, baseOffset int64, leaderEpoch int32) {
	binary.BigEndian.PutUint64(batch, uint64(baseOffset))
	binary.BigEndian.PutUint32(batch[epochAt:], uint32(leaderEpoch))
}

// setMaxTimestamp corrects the latest timestamp of a whole batch, and the CRC with it.
func setMaxTimestamp(batch []byte, millis int64) {
	binary.BigEndian.PutUint64(batch[maxTimestampAt:], uint64(millis))
	binary.BigEndian.PutUint32(batch[crcAt:], crc32.Checksum(batch[crcFrom:], castagnoli))
}

// setAppendTime gives all records of a whole batch the time of the append, and the batch the CRC that goes with it.
func setAppendTime(batch []byte, millis int64) {
	attributes := binary.BigEndian.Uint16(batch[crcFrom:])
	binary.BigEndian.PutUint16(batch[crcFrom:], attributes|appendTimeBit)
	binary.BigEndian.PutUint64(batch[maxTimestampAt:], uint64(millis))
	binary.BigEndian.PutUint32(batch[crcAt:], crc32.Checksum(batch[crcFrom:], castagnoli))
}
