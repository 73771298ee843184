package group

import "github.com/twmb/franz-go/pkg/kmsg"

// Record is a change that outlives the process: a key and a value of Apache Kafka's __consumer_offsets topic
// (org.apache.kafka.coordinator.group, OffsetCommitKey and GroupMetadataKey). A later record of a key replaces the
// earlier ones.
type Record struct {
	// Partition is the partition of the topic that holds the group's records.
	Partition int32
	Key       []byte
	// Value is nil for a tombstone.
	Value []byte

	live   *liveRecord
	number uint64 // in the queue; a live record with another number has changed since
}

// The versions that are written, which Apache Kafka 2.1 and later read. 0 to 3 are read, of values also the flexible 4.
const (
	offsetKeyVersion   = 1
	offsetValueVersion = 3
	// offsetValueVersionWithExpiry carries an expiry time that the client chose.
	offsetValueVersionWithExpiry = 1
	groupKeyVersion              = 2
	groupValueVersion            = 3
)

func (o *committed) key() []byte {
	key := kmsg.OffsetCommitKey{Version: offsetKeyVersion, Group: o.group.id, Topic: o.at.topic, Partition: o.at.partition}
	return key.AppendTo(nil)
}

func (o *committed) value(int64) []byte {
	value := kmsg.OffsetCommitValue{
		Version:         offsetValueVersion,
		Offset:          o.offset,
		LeaderEpoch:     o.leaderEpoch,
		Metadata:        o.metadata,
		CommitTimestamp: o.commitMillis,
		ExpireTimestamp: o.expireMillis,
	}
	if o.expireMillis >= 0 {
		value.Version = offsetValueVersionWithExpiry
	}
	return value.AppendTo(nil)
}

func (o *committed) successor(c *Coordinator) *liveRecord {
	if g := c.groups.get(o.group.id); g != nil && g.offsets.get(o.at) != nil {
		return &g.offsets.get(o.at).live
	}
	return nil
}

func (g *group) key() []byte {
	key := kmsg.GroupMetadataKey{Version: groupKeyVersion, Group: g.id}
	return key.AppendTo(nil)
}

func (g *group) value(maxBytes int64) []byte {
	value := kmsg.GroupMetadataValue{
		Version:               groupValueVersion,
		ProtocolType:          g.protocolType,
		Generation:            g.generation,
		CurrentStateTimestamp: g.emptySinceMillis,
	}
	// Between two generations the members are left out: if this stays the last record, all of them join again. A group
	// made under a larger limit does the same.
	if (g.state == Stable || g.state == Empty) && (maxBytes == 0 || g.recordBytes <= maxBytes) {
		value.Protocol, value.Leader = stringOrNull(g.protocol), stringOrNull(g.leader)
		for m := range g.list.All() {
			value.Members = append(value.Members, m.value())
		}
	}
	return value.AppendTo(nil)
}

func (g *group) successor(c *Coordinator) *liveRecord {
	if now := c.groups.get(g.id); now != nil && now.persisted() {
		return &now.live
	}
	return nil
}

func (m *member) value() kmsg.GroupMetadataValueMember {
	return kmsg.GroupMetadataValueMember{
		MemberID:               m.id,
		InstanceID:             stringOrNull(m.instanceID),
		ClientID:               m.clientID,
		ClientHost:             m.clientHost,
		RebalanceTimeoutMillis: int32(m.rebalanceTimeout.Milliseconds()),
		SessionTimeoutMillis:   int32(m.sessionTimeout.Milliseconds()),
		Subscription:           m.metadata(m.group.protocol),
		Assignment:             m.assignment,
	}
}
