package wire

import (
	"encoding/binary"
	"math"
	"slices"
)

// ProduceRequest is a Produce request of versions 3 to 8. It is parsed again and again into the same memory; its slices
// alias the frame.
type ProduceRequest struct {
	// TransactionalID is nil if the producer is not transactional.
	TransactionalID []byte
	Acks            int16
	TimeoutMillis   int32
	// Partitions are all partitions of all topics, in the order of the request.
	Partitions []ProducePartition
	// Room bounds the partitions that [ProduceRequest.Parse] reads; 0 for [MaxPartitions]. With more it fails with
	// [ErrNoRoom]. Named is their number.
	Room, Named int
}

// ProducePartition is the records for one partition.
type ProducePartition struct {
	Topic     []byte
	Partition int32
	// Records alias the frame, and may be changed there. Nil if the client sent null.
	Records []byte
	// run is the number of partitions that follow under the same topic, this one included; 0 but for the first.
	run int
}

// minProduceBytes is the size of the smallest partition: its number, and the length of its records.
const minProduceBytes = 4 + 4

// Parse reads the body of a Produce request. It does not allocate once r has held as many partitions before.
func (r *ProduceRequest) Parse(_ int16, body []byte) error {
	c := cursor{left: body}
	r.TransactionalID = c.nullableString()
	r.Acks = c.int16()
	r.TimeoutMillis = c.int32()
	r.Partitions, r.Named = partitions(&c, r.Partitions[:0], r.Room, minProduceBytes, func(topic []byte, i, n int) ProducePartition {
		p := ProducePartition{Topic: topic, Partition: c.int32(), Records: c.nullableBytes()}
		if i == 0 {
			p.run = n
		}
		return p
	})
	return c.err("Produce request")
}

// ProduceResult is the answer for one partition. Offsets and times are -1 where there is none.
type ProduceResult struct {
	ErrorCode                                       int16
	BaseOffset, LogAppendTimeMillis, LogStartOffset int64
	// ErrorMessage is sent from version 8 on, if it is not empty.
	ErrorMessage string
}

// AppendProduceResponse appends a whole Produce response of a version from 3 to 8; results has one entry for each of
// req.Partitions. It is written by hand, so that it allocates nothing.
func AppendProduceResponse(dst []byte, version int16, correlationID int32, req *ProduceRequest, result func(i int) *ProduceResult) []byte {
	dst = slices.Grow(dst, produceResponseBytes(req, result))
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	topicsAt, topics := len(dst), uint32(0)
	dst = append(dst, 0, 0, 0, 0)
	for i := range req.Partitions {
		p := &req.Partitions[i]
		if p.run > 0 {
			topics++
			dst = AppendFetchTopic(dst, p.Topic, p.run)
		}
		dst = result(i).appendTo(dst, version, p.Partition)
	}
	binary.BigEndian.PutUint32(dst[topicsAt:], topics)
	dst = binary.BigEndian.AppendUint32(dst, 0) // throttle time
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-FrameSizeBytes))
	return dst
}

// produceResponseBytes is at least the size of a response: names may be long, and to grow again and again would take longer
// than to encode.
func produceResponseBytes(req *ProduceRequest, result func(i int) *ProduceResult) (n int) {
	const head, topic, partition = 16, 2 + 4, 4 + 2 + 3*8 + 4 + 2
	n = head + partition*len(req.Partitions)
	for i := range req.Partitions {
		if p := &req.Partitions[i]; p.run > 0 {
			n += topic + len(p.Topic)
		}
		n += len(result(i).ErrorMessage)
	}
	return n
}

func (r *ProduceResult) appendTo(dst []byte, version int16, partition int32) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(partition))
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.ErrorCode))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.BaseOffset))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.LogAppendTimeMillis))
	if version >= 5 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(r.LogStartOffset))
	}
	if version < 8 {
		return dst
	}
	dst = binary.BigEndian.AppendUint32(dst, 0) // errors of single records
	if r.ErrorMessage == "" {
		return binary.BigEndian.AppendUint16(dst, math.MaxUint16) // null
	}
	return appendString(dst, r.ErrorMessage)
}
