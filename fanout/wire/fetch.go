package wire

import (
	"encoding/binary"
	"math"
)

// FetchRequest is a Fetch request of versions 4 to 11. It is parsed again and again into the same memory; its slices
// alias the frame.
type FetchRequest struct {
	MaxWaitMillis, MinBytes, MaxBytes int32
	// Isolation is 0 for read uncommitted, 1 for read committed.
	Isolation int8
	// SessionID and SessionEpoch are from version 7 on (KIP-227); 0 and -1 before.
	SessionID, SessionEpoch int32
	// Partitions are all partitions of all topics, in the order of the request.
	Partitions []FetchPartition
	// Forgotten are the partitions that the session is to drop, from version 7 on.
	Forgotten []ForgottenPartition
	// Room bounds the partitions, and those forgotten, that [FetchRequest.Parse] reads; 0 for [MaxPartitions]. With more
	// it fails with [ErrNoRoom]. Named is their number.
	Room, Named int
}

// ForgottenPartition is a partition that is not wanted any more. Topic aliases the frame.
type ForgottenPartition struct {
	Topic     []byte
	Partition int32
}

// FetchPartition is a request for one partition. Topic aliases the frame.
type FetchPartition struct {
	Topic     []byte
	Partition int32
	// CurrentLeaderEpoch is from version 9 on, -1 before and for "unknown".
	CurrentLeaderEpoch int32
	FetchOffset        int64
	PartitionMaxBytes  int32
}

// The sizes of the smallest partitions.
const (
	minFetchBytes     = 4 + 8 + 4
	minForgottenBytes = 4
)

// Parse reads the body of a Fetch request. It does not allocate once r has held as many partitions before.
func (r *FetchRequest) Parse(version int16, body []byte) error {
	c := cursor{left: body}
	c.int32() // replica id
	r.MaxWaitMillis, r.MinBytes, r.MaxBytes = c.int32(), c.int32(), c.int32()
	r.Isolation = c.int8()
	r.SessionID, r.SessionEpoch = 0, -1
	if version >= 7 {
		r.SessionID, r.SessionEpoch = c.int32(), c.int32()
	}
	r.Partitions, r.Named = partitions(&c, r.Partitions[:0], r.Room, minFetchBytes, func(topic []byte, _, _ int) FetchPartition {
		p := FetchPartition{Topic: topic, Partition: c.int32(), CurrentLeaderEpoch: -1}
		if version >= 9 {
			p.CurrentLeaderEpoch = c.int32()
		}
		p.FetchOffset = c.int64()
		if version >= 5 {
			c.int64() // the log start offset of a follower
		}
		p.PartitionMaxBytes = c.int32()
		return p
	})
	r.Forgotten = r.Forgotten[:0]
	if version >= 7 {
		named := 0
		r.Forgotten, named = partitions(&c, r.Forgotten, r.Room, minForgottenBytes, func(topic []byte, _, _ int) ForgottenPartition {
			return ForgottenPartition{Topic: topic, Partition: c.int32()}
		})
		r.Named = max(r.Named, named)
	}
	if version >= 11 {
		c.string() // rack id
	}
	return c.err("Fetch request")
}

// FetchResult is the answer for one partition. Offsets are -1 where there is none.
type FetchResult struct {
	ErrorCode                                       int16
	HighWatermark, LastStableOffset, LogStartOffset int64
	// RecordsBytes is the size of the records that follow the partition's header bytes.
	RecordsBytes int32
	// Aborted are the transactions of which readers of committed data skip the records.
	Aborted []AbortedTransaction
}

// AbortedTransaction is one of a producer's, from its first offset up to the marker that follows in the records.
type AbortedTransaction struct{ ProducerID, FirstOffset int64 }

// AppendFetchHead appends the first header bytes of a Fetch response: all before its topics. The frame's size is left 0
// for [PatchFrameSize].
func AppendFetchHead(dst []byte, version int16, correlationID int32, errorCode int16, sessionID int32, topics int) []byte {
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	dst = binary.BigEndian.AppendUint32(dst, 0) // throttle time
	if version >= 7 {
		dst = binary.BigEndian.AppendUint16(dst, uint16(errorCode))
		dst = binary.BigEndian.AppendUint32(dst, uint32(sessionID))
	}
	return binary.BigEndian.AppendUint32(dst, uint32(topics))
}

// AppendFetchTopic appends the header bytes of a topic, before its partitions.
func AppendFetchTopic(dst []byte, topic []byte, partitions int) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(topic)))
	dst = append(dst, topic...)
	return binary.BigEndian.AppendUint32(dst, uint32(partitions))
}

// PatchCount sets the count that the header bytes of a response or of a topic end with.
func PatchCount(header []byte, n int) {
	binary.BigEndian.PutUint32(header[len(header)-4:], uint32(n))
}

// noPreferredReplica tells a consumer to go on reading here (KIP-392).
const noPreferredReplica = math.MaxUint32 // -1

// AppendFetchPartition appends the header bytes of a partition. Exactly res.RecordsBytes bytes of records follow them.
func AppendFetchPartition(dst []byte, version int16, partition int32, res FetchResult) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(partition))
	dst = binary.BigEndian.AppendUint16(dst, uint16(res.ErrorCode))
	dst = binary.BigEndian.AppendUint64(dst, uint64(res.HighWatermark))
	dst = binary.BigEndian.AppendUint64(dst, uint64(res.LastStableOffset))
	if version >= 5 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(res.LogStartOffset))
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(res.Aborted)))
	for _, a := range res.Aborted {
		dst = binary.BigEndian.AppendUint64(dst, uint64(a.ProducerID))
		dst = binary.BigEndian.AppendUint64(dst, uint64(a.FirstOffset))
	}
	if version >= 11 {
		dst = binary.BigEndian.AppendUint32(dst, noPreferredReplica)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(res.RecordsBytes))
}
