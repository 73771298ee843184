package group

import (
	"math"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Record is a change that has to outlive the process: a key and a value of Apache Kafka's __consumer_offsets topic
// (org.apache.kafka.coordinator.group, OffsetCommitKey and GroupMetadataKey). A later record of a key replaces the ones
// before it; without a value it removes them.
type Record struct {
	// Partition is the partition of the topic that the record's group belongs to.
	Partition int32
	Key       []byte
	// Value is nil for a key that is to be forgotten.
	Value []byte

	node   *node
	number uint64 // of the queue's records; a node that has another has changed since
}

// The versions that are written, which Apache Kafka 2.1 and later read. 0 to 3 are read, of values also the flexible 4.
const (
	offsetKeyVersion   = 1
	offsetValueVersion = 3
	// offsetValueVersionWithExpiry is the one that carries a time of expiry of the client's own.
	offsetValueVersionWithExpiry = 1
	groupKeyVersion              = 2
	groupValueVersion            = 3
)

// living is what a record can be made of again: a group's membership or an offset.
type living interface {
	key() []byte
	// value is not much larger than a number of bytes, if that is not 0.
	value(maxBytes int64) []byte
	bytes() int64
	// successor is the node that has the key now, or nil.
	successor(c *Coordinator) *node
}

// node is a living record's place in its trail.
type node struct {
	trail      *trail
	prev, next *node
	// offset is where the record is in the log; pendingOffset until that is known, lostOffset if it could not be
	// appended.
	offset int64
	number uint64 // of its last record
	queued bool   // it is still to be written
	dead   bool   // what is to be written is a tombstone
	kept   living
}

const (
	pendingOffset = math.MaxInt64
	lostOffset    = -1
)

func (n *node) linked() bool { return n.trail != nil }

// trail are the living records of one partition, in the order of the log.
type trail struct {
	partition   int32
	first, last *node
	refused     bool // see RefusePartition
}

func (t *trail) pushLast(n *node) {
	n.trail, n.prev, n.next = t, t.last, nil
	if t.last != nil {
		t.last.next = n
	} else {
		t.first = n
	}
	t.last = n
}

func (t *trail) pushFirst(n *node) {
	n.trail, n.prev, n.next = t, nil, t.first
	if t.first != nil {
		t.first.prev = n
	} else {
		t.last = n
	}
	t.first = n
}

func (n *node) unlink() {
	t := n.trail
	if t == nil {
		return
	}
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		t.first = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		t.last = n.prev
	}
	n.trail, n.prev, n.next = nil, nil, nil
}

// keep writes a living record, again or for the first time.
func (c *Coordinator) keep(t *trail, n *node) {
	n.unlink()
	n.offset = pendingOffset
	t.pushLast(n)
	c.queue.push(n)
}

// keepMembership writes who is a member of a group's generation.
func (c *Coordinator) keepMembership(g *group) { c.keep(g.trail, &g.node) }

// tombstone writes that a living record is dead. It is charged until that is in the log.
func (c *Coordinator) tombstone(n *node) {
	n.dead = true
	c.keep(n.trail, n)
}

// Rewrite writes living records again that lie before an offset of a partition's log, at most limit of them, the oldest
// first. done says that there are none left, so that the log's head is not needed any more once the output is kept.
func (c *Coordinator) Rewrite(partition int32, before int64, limit int) (done bool) {
	t := &c.trails[partition]
	for ; limit > 0; limit-- {
		n := t.first
		if n == nil || n.offset >= before {
			return true
		}
		c.keep(t, n)
	}
	return t.first == nil || t.first.offset >= before
}

// PartitionOf is the partition of the log that a group's records go to.
func (c *Coordinator) PartitionOf(id string) int32 { return c.trailOf(id).partition }

// trailOf is where a group's records go. The choice is Apache Kafka's (Utils.abs of Java's String.hashCode), so that a
// directory of its can be taken over.
func (c *Coordinator) trailOf(id string) *trail {
	var hash int32
	for _, unit := range utf16.Encode([]rune(id)) {
		hash = 31*hash + int32(unit)
	}
	if hash < 0 {
		if hash = -hash; hash < 0 {
			hash = 0
		}
	}
	return &c.trails[int(hash)%len(c.trails)]
}

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
	// Between two generations there is none to be written: if that is the last record, all members join again. So do those
	// of a group that was made when larger records could be written.
	if (g.state == Stable || g.state == Empty) && (maxBytes == 0 || g.record <= maxBytes) {
		value.Protocol, value.Leader = stringOrNull(g.protocol), stringOrNull(g.leader)
		for m := range g.list.all() {
			value.Members = append(value.Members, m.kept())
		}
	}
	return value.AppendTo(nil)
}

func (m *member) kept() kmsg.GroupMetadataValueMember {
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

func (o *committed) successor(c *Coordinator) *node {
	if g := c.groups.get(o.group.id); g != nil && g.offsets.get(o.at) != nil {
		return &g.offsets.get(o.at).node
	}
	return nil
}

func (g *group) successor(c *Coordinator) *node {
	if now := c.groups.get(g.id); now != nil && now.kept() {
		return &now.node
	}
	return nil
}
