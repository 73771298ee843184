package group

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxBatchBytes is where a batch of records ends and the next begins. One record may make a batch larger.
const maxBatchBytes = 256 << 10

// AppendBatch appends the first of some records as one record batch (format 2), to be given their offsets by the log,
// and says how many they are.
func AppendBatch(dst []byte, records []Record, nowMillis int64) (batch []byte, n int) {
	var body []byte
	for n < len(records) && (n == 0 || len(body)+len(records[n].Key)+len(records[n].Value) < maxBatchBytes) {
		body = appendRecord(body, &records[n], n)
		n++
	}
	return appendBatch(dst, body, n, nowMillis), n
}

func appendRecord(dst []byte, r *Record, offsetDelta int) []byte {
	record := kmsg.Record{OffsetDelta: int32(offsetDelta), Key: r.Key, Value: r.Value}
	const zeroLength = 1 // the length itself is encoded too, as 0 in one byte, and does not count
	record.Length = int32(len(record.AppendTo(nil)) - zeroLength)
	return record.AppendTo(dst)
}

func appendBatch(dst, body []byte, records int, nowMillis int64) []byte {
	const lengthAt, lengthCounts, crcAt, crcCounts = 8, 12, 17, 21
	batch := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1,
		Magic:                2,
		LastOffsetDelta:      int32(records - 1),
		FirstTimestamp:       nowMillis,
		MaxTimestamp:         nowMillis,
		ProducerID:           -1,
		ProducerEpoch:        -1,
		FirstSequence:        -1,
		NumRecords:           int32(records),
		Records:              body,
	}
	start := len(dst)
	dst = batch.AppendTo(dst)
	raw := dst[start:]
	binary.BigEndian.PutUint32(raw[lengthAt:], uint32(len(raw)-lengthCounts))
	binary.BigEndian.PutUint32(raw[crcAt:], crc32.Checksum(raw[crcCounts:], castagnoli))
	return dst
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
