package group

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Restore takes a record that was kept by an earlier process, in the order of the log. Keys of kinds that are not known
// here are left alone. The limits of [Config] are not applied: what was accepted once is not refused later.
func (c *Coordinator) Restore(now Instant, partition int32, offset int64, key, value []byte) error {
	if len(key) < 2 {
		return fmt.Errorf("group: the key of record %d has %d bytes, the least is 2", offset, len(key))
	}
	switch version := int16(binary.BigEndian.Uint16(key)); version {
	case 0, offsetKeyVersion:
		var k kmsg.OffsetCommitKey
		if err := k.ReadFrom(key); err != nil {
			return fmt.Errorf("group: the key of record %d: %w", offset, err)
		}
		return c.restoreOffset(now, partition, offset, &k, value)
	case groupKeyVersion:
		var k kmsg.GroupMetadataKey
		if err := k.ReadFrom(key); err != nil {
			return fmt.Errorf("group: the key of record %d: %w", offset, err)
		}
		return c.restoreGroup(now, partition, offset, k.Group, value)
	}
	return nil
}

// restored is the group with the given name, made if there is none.
func (c *Coordinator) restored(now Instant, id string, partition int32) *group {
	g := c.groups[id]
	if g == nil {
		g = newGroup(id, now)
		g.trail = &c.trails[partition]
		c.groups[id] = g
		c.used += groupBytes + int64(len(id))
	}
	return g
}

func (c *Coordinator) restoreOffset(now Instant, partition int32, offset int64, k *kmsg.OffsetCommitKey, value []byte) error {
	at := place{k.Topic, k.Partition}
	if value == nil {
		if g := c.groups[k.Group]; g != nil && g.offsets[at] != nil {
			o := g.offsets[at]
			o.node.unlink()
			delete(g.offsets, at)
			c.release(o.bytes())
			c.counts.Offsets--
		}
		return nil
	}
	var v kmsg.OffsetCommitValue
	if err := v.ReadFrom(value); err != nil {
		return fmt.Errorf("group: the value of record %d, an offset of group %q: %w", offset, k.Group, err)
	}
	g := c.restored(now, k.Group, partition)
	o := g.offsets[at]
	if o == nil {
		if g.offsets == nil {
			g.offsets = make(map[place]*committed)
		}
		o = &committed{group: g, at: at}
		o.node.kept = o
		g.offsets[at] = o
		c.counts.Offsets++
		c.used += o.bytes()
	}
	c.used += int64(len(v.Metadata) - len(o.metadata))
	o.offset, o.metadata, o.commitMillis = v.Offset, v.Metadata, v.CommitTimestamp
	if o.leaderEpoch = -1; v.Version >= 3 {
		o.leaderEpoch = v.LeaderEpoch
	}
	if o.expireMillis = -1; v.Version == offsetValueVersionWithExpiry {
		o.expireMillis = v.ExpireTimestamp
	}
	o.node.restore(g.trail, offset)
	return nil
}

func (n *node) restore(t *trail, offset int64) {
	n.unlink()
	n.offset = offset
	t.pushLast(n)
}

func (c *Coordinator) restoreGroup(now Instant, partition int32, offset int64, id string, value []byte) error {
	if value == nil {
		if g := c.groups[id]; g != nil {
			c.clearMembers(g)
			g.node.unlink()
			g.protocolType, g.generation = "", 0
		}
		return nil
	}
	var v kmsg.GroupMetadataValue
	if err := v.ReadFrom(value); err != nil {
		return fmt.Errorf("group: the value of record %d, the membership of group %q: %w", offset, id, err)
	}
	g := c.restored(now, id, partition)
	c.clearMembers(g)
	g.node.restore(g.trail, offset)
	g.state, g.generation, g.protocolType = Empty, v.Generation, v.ProtocolType
	if g.emptySinceMillis = now.UnixMillis; v.Version >= 2 && v.CurrentStateTimestamp >= 0 {
		g.emptySinceMillis = v.CurrentStateTimestamp
	}
	if v.Protocol != nil {
		g.protocol = *v.Protocol
	}
	for i := range v.Members {
		c.restoreMember(g, &v.Members[i])
	}
	if v.Leader != nil && g.members[*v.Leader] != nil {
		g.leader = *v.Leader
	}
	if len(g.list) > 0 {
		g.state = Stable
	}
	return nil
}

func (c *Coordinator) restoreMember(g *group, v *kmsg.GroupMetadataValueMember) {
	m := &member{group: g, id: v.MemberID, clientID: v.ClientID, clientHost: v.ClientHost}
	if instance := given(v.InstanceID); instance != nil {
		m.instanceID = *instance
	}
	m.session.owner = m
	m.sessionTimeout = min(max(millis(v.SessionTimeoutMillis), c.config.MinSessionTimeout), c.config.MaxSessionTimeout)
	if m.rebalanceTimeout = millis(v.RebalanceTimeoutMillis); m.rebalanceTimeout <= 0 {
		m.rebalanceTimeout = m.sessionTimeout
	}
	// Copies: kmsg's slices would keep all of the log that was read with them.
	m.protocols = []kmsg.JoinGroupRequestProtocol{{Name: g.protocol, Metadata: bytes.Clone(v.Subscription)}}
	m.assignment = bytes.Clone(v.Assignment)
	if g.members[m.id] != nil || m.static() && g.instances[m.instanceID] != nil {
		return // the record names it twice
	}
	m.counted = m.bytes()
	c.used += m.counted
	c.counts.Members++
	g.add(m)
}

func (c *Coordinator) clearMembers(g *group) {
	for _, m := range g.list {
		c.release(m.counted)
		c.counts.Members--
	}
	g.list, g.members, g.instances, g.leader, g.protocol = nil, nil, nil, "", ""
	g.support = make(map[string]int)
	g.state = Empty
}

// Restored ends what Restore began: from here on members have to be heard of, and offsets expire. Groups that were
// removed leave nothing.
func (c *Coordinator) Restored(now Instant) {
	for id, g := range c.groups {
		if len(g.list) == 0 && len(g.offsets) == 0 && !g.kept() {
			delete(c.groups, id)
			c.release(groupBytes + int64(len(id)))
			continue
		}
		for _, m := range g.list {
			// The clients find out first that the server was away: they get a little longer than their session.
			m.aliveUntil = now.Monotonic + m.sessionTimeout + restartGrace
			c.timers.start(&m.session, m.aliveUntil)
		}
		c.scheduleExpiry(g, now)
	}
}

// restartGrace is what members get on top of their session timeout after a restart.
const restartGrace = 5 * time.Second
