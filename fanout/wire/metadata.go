package wire

import (
	"encoding/binary"
	"math"
)

// MetadataVersions is the number of versions of Metadata that can be encoded, from 0 on.
const MetadataVersions = 9

// noAuthorizedOperations: the operations that the client may do were not looked up (versions 8 on).
const noAuthorizedOperations uint32 = 1 << 31

// MetadataNode is the broker that a Metadata response is about: there is one.
type MetadataNode struct {
	ID        int32
	Host      string
	Port      int32
	ClusterID string
}

// AppendMetadataHead appends a Metadata response up to its topics. The frame's size is left 0 for [PatchFrameSize].
func AppendMetadataHead(dst []byte, version int16, correlationID int32, node MetadataNode) []byte {
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if version >= 3 {
		dst = binary.BigEndian.AppendUint32(dst, 0) // throttle time
	}
	dst = binary.BigEndian.AppendUint32(dst, 1)
	dst = binary.BigEndian.AppendUint32(dst, uint32(node.ID))
	dst = appendString(dst, node.Host)
	dst = binary.BigEndian.AppendUint32(dst, uint32(node.Port))
	if version >= 1 {
		dst = append(dst, 0xff, 0xff) // no rack
	}
	if version >= 2 {
		dst = appendString(dst, node.ClusterID)
	}
	if version >= 1 {
		dst = binary.BigEndian.AppendUint32(dst, uint32(node.ID)) // the controller
	}
	return dst
}

// AppendMetadataTopics appends the number of topics. All of them follow, then [AppendMetadataEnd].
func AppendMetadataTopics(dst []byte, topics int) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(topics))
}

// AppendMetadataTopic appends a topic. Its partitions follow, then [AppendMetadataTopicEnd].
func AppendMetadataTopic(dst []byte, version, errorCode int16, name string, internal bool, partitions int) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(errorCode))
	dst = appendString(dst, name)
	if version >= 1 {
		flag := byte(0)
		if internal {
			flag = 1
		}
		dst = append(dst, flag)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(partitions))
}

// AppendMetadataPartition appends a partition, of which node is the leader and the only replica; offline: it is
// not served.
func AppendMetadataPartition(dst []byte, version int16, partition, node, leaderEpoch int32, offline bool) []byte {
	dst = append(dst, 0, 0) // no error
	dst = binary.BigEndian.AppendUint32(dst, uint32(partition))
	dst = binary.BigEndian.AppendUint32(dst, uint32(node))
	if version >= 7 {
		dst = binary.BigEndian.AppendUint32(dst, uint32(leaderEpoch))
	}
	for range 2 { // replicas, in sync
		dst = binary.BigEndian.AppendUint32(dst, 1)
		dst = binary.BigEndian.AppendUint32(dst, uint32(node))
	}
	switch {
	case version < 5:
		return dst
	case offline:
		dst = binary.BigEndian.AppendUint32(dst, 1)
		return binary.BigEndian.AppendUint32(dst, uint32(node))
	}
	return binary.BigEndian.AppendUint32(dst, 0)
}

// AppendMetadataTopicEnd appends what follows a topic's partitions.
func AppendMetadataTopicEnd(dst []byte, version int16) []byte {
	if version >= 8 {
		dst = binary.BigEndian.AppendUint32(dst, noAuthorizedOperations)
	}
	return dst
}

// AppendMetadataEnd appends what follows the topics.
func AppendMetadataEnd(dst []byte, version int16) []byte { return AppendMetadataTopicEnd(dst, version) }

// appendString appends a string of at most 32767 bytes; a longer one is cut.
func appendString(dst []byte, s string) []byte {
	s = s[:min(len(s), math.MaxInt16)]
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}
