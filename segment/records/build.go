package records

import (
	"encoding/binary"
	"fmt"
)

// A batch is built in place: room for the header, then the records, then the header.
//
//	b = append(b, make([]byte, HeaderSize)...)
//	b = AppendRecord(b, 0, key, value)
//	Seal(b, NewBatch(1, nowMillis))

// AppendRecord appends a record without headers that has the batch's base timestamp. A nil key or value is null.
func AppendRecord(b []byte, offsetDelta int, key, value []byte) []byte {
	var scratch [40]byte
	fields := append(scratch[:0], 0, 0) // attributes, timestamp delta
	fields = binary.AppendVarint(fields, int64(offsetDelta))
	fields = binary.AppendVarint(fields, nullableLen(key))
	keyAt := len(fields)
	fields = binary.AppendVarint(fields, nullableLen(value))
	const headers = 1 // their count takes one byte
	b = binary.AppendVarint(b, int64(len(fields)+len(key)+len(value)+headers))
	b = append(b, fields[:keyAt]...)
	b = append(b, key...)
	b = append(b, fields[keyAt:]...)
	b = append(b, value...)
	return append(b, 0)
}

func nullableLen(b []byte) int64 {
	if b == nil {
		return -1
	}
	return int64(len(b))
}

// NewBatch is the header of a batch from a producer that is not idempotent: the log writes the offset and the epoch.
func NewBatch(records int, timestampMillis int64) Batch {
	return Batch{LeaderEpoch: -1, LastOffsetDelta: int32(records - 1), BaseTimestamp: timestampMillis, MaxTimestamp: timestampMillis,
		ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, RecordCount: int32(records)}
}

// Seal writes the header of a batch whose records are in place. The magic, the length and the CRC follow from the bytes.
func Seal(batch []byte, h Batch) {
	if len(batch) < HeaderSize || len(batch) > MaxBatchSize {
		panic(fmt.Sprintf("records: a batch of %d bytes is built, allowed are %d to %d", len(batch), HeaderSize, MaxBatchSize))
	}
	Assign(batch, h.BaseOffset, h.LeaderEpoch)
	binary.BigEndian.PutUint32(batch[lengthAt:], uint32(len(batch)-Overhead))
	batch[magicAt] = magicV2
	binary.BigEndian.PutUint16(batch[CRCFrom:], uint16(h.Attributes))
	binary.BigEndian.PutUint32(batch[23:], uint32(h.LastOffsetDelta))
	binary.BigEndian.PutUint64(batch[27:], uint64(h.BaseTimestamp))
	binary.BigEndian.PutUint64(batch[43:], uint64(h.ProducerID))
	binary.BigEndian.PutUint16(batch[51:], uint16(h.ProducerEpoch))
	binary.BigEndian.PutUint32(batch[53:], uint32(h.BaseSequence))
	binary.BigEndian.PutUint32(batch[57:], uint32(h.RecordCount))
	SetMaxTimestamp(batch, h.MaxTimestamp)
}

// checkWhole catches a caller that would compute the CRC of a part of a batch, or of more than one.
func checkWhole(batch []byte) {
	if len(batch) < HeaderSize || int64(binary.BigEndian.Uint32(batch[lengthAt:]))+Overhead != int64(len(batch)) {
		panic(fmt.Sprintf("records: %d bytes are changed as one batch, whose length field says otherwise", len(batch)))
	}
}

// Assign writes what the log decides into a batch, outside its CRC.
func Assign(batch []byte, baseOffset int64, leaderEpoch int32) {
	binary.BigEndian.PutUint64(batch, uint64(baseOffset))
	binary.BigEndian.PutUint32(batch[epochAt:], uint32(leaderEpoch))
}

// SetMaxTimestamp changes the latest timestamp of a whole batch, and its CRC with it.
func SetMaxTimestamp(batch []byte, millis int64) {
	checkWhole(batch)
	binary.BigEndian.PutUint64(batch[maxTimestampAt:], uint64(millis))
	binary.BigEndian.PutUint32(batch[crcAt:], UpdateCRC(0, batch[CRCFrom:]))
}

// SetAppendTime gives all records of a whole batch the time of the append.
func SetAppendTime(batch []byte, millis int64) {
	attributes := binary.BigEndian.Uint16(batch[CRCFrom:])
	binary.BigEndian.PutUint16(batch[CRCFrom:], attributes|uint16(AppendTime))
	SetMaxTimestamp(batch, millis)
}
