package group

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/segment/mark"
)

// Restore takes the records of an earlier process, in the order of the log. Unknown kinds of keys are ignored. The limits
// of [Config] do not apply: a record that was accepted once is not refused later.
func (c *Coordinator) Restore(now Instant, partition int32, offset int64, key, value []byte) error {
	if len(key) < 2 {
		return fmt.Errorf("the key of record %d has %d bytes, the least is 2", offset, len(key))
	}
	switch version := int16(binary.BigEndian.Uint16(key)); version {
	case 0, offsetKeyVersion:
		var k kmsg.OffsetCommitKey
		if err := k.ReadFrom(key); err != nil {
			return fmt.Errorf("the key of record %d: %w", offset, err)
		}
		return c.restoreOffset(now, partition, offset, &k, value)
	case groupKeyVersion:
		var k kmsg.GroupMetadataKey
		if err := k.ReadFrom(key); err != nil {
			return fmt.Errorf("the key of record %d: %w", offset, err)
		}
		return c.restoreGroup(now, partition, offset, k.Group, value)
	}
	return nil
}

// restored is the group with the given name, made if there is none.
func (c *Coordinator) restored(now Instant, id string, partition int32) *group {
	g := c.groups.get(id)
	if g == nil {
		g = newGroup(id, now)
		g.log = &c.logs[partition]
		c.groups.put(id, g)
		c.budget.Force(g.bytes())
	}
	return g
}

func (c *Coordinator) restoreOffset(now Instant, partition int32, offset int64, k *kmsg.OffsetCommitKey, value []byte) error {
	at := topicPartition{k.Topic, k.Partition}
	if value == nil {
		if g := c.groups.get(k.Group); g != nil && g.offsets.get(at) != nil {
			mark.Hit("a start met the tombstone of an offset")
			o := g.offsets.get(at)
			o.live.unlink()
			c.takeOffset(o)
			c.budget.Give(o.bytes())
		}
		return nil
	}
	var v kmsg.OffsetCommitValue
	if err := decodeValue(value, &v, (*flexible).offsetValue); err != nil {
		return fmt.Errorf("the value of record %d, an offset of group %q: %w", offset, k.Group, err)
	}
	g := c.restored(now, k.Group, partition)
	o := g.offsets.get(at)
	if o == nil {
		o = &committed{group: g, at: at, expireMillis: -1}
		c.budget.Force(o.bytes())
		c.addOffset(o)
	}
	c.budget.Force(held(len(v.Metadata)) - held(len(o.metadata)))
	o.offset, o.metadata, o.commitMillis = v.Offset, v.Metadata, v.CommitTimestamp
	if o.leaderEpoch = -1; v.Version >= 3 {
		o.leaderEpoch = v.LeaderEpoch
	}
	expires := int64(-1)
	if v.Version == offsetValueVersionWithExpiry {
		expires = max(v.ExpireTimestamp, -1)
	}
	o.setExpiry(expires)
	g.log.put(&o.live, offset)
	return nil
}

func (c *Coordinator) restoreGroup(now Instant, partition int32, offset int64, id string, value []byte) error {
	if value == nil {
		if g := c.groups.get(id); g != nil {
			mark.Hit("a start met the tombstone of a group")
			c.clearMembers(g)
			g.live.unlink()
			c.setProtocolType(g, "")
			g.generation = 0
		}
		return nil
	}
	var v kmsg.GroupMetadataValue
	if err := decodeValue(value, &v, (*flexible).groupValue); err != nil {
		return fmt.Errorf("the value of record %d, the membership of group %q: %w", offset, id, err)
	}
	g := c.restored(now, id, partition)
	c.clearMembers(g)
	g.log.put(&g.live, offset)
	c.setProtocolType(g, v.ProtocolType)
	g.state, g.generation = Empty, v.Generation
	if g.emptySinceMillis = now.UnixMillis; v.Version >= 2 && v.CurrentStateTimestamp >= 0 {
		g.emptySinceMillis = v.CurrentStateTimestamp
	}
	g.protocol = textOf(v.Protocol)
	for i := range v.Members {
		c.restoreMember(g, &v.Members[i])
	}
	if g.list.Len() > 0 {
		g.state, g.leader = Stable, g.list.First().Value().id
	}
	if v.Leader != nil && g.members.get(*v.Leader) != nil {
		g.leader = *v.Leader
	}
	return nil
}

func (c *Coordinator) restoreMember(g *group, v *kmsg.GroupMetadataValueMember) {
	m := &member{group: g, id: v.MemberID, instanceID: textOf(v.InstanceID), clientID: v.ClientID, clientHost: v.ClientHost, joinedOnce: true}
	m.session.owner = m
	m.sessionTimeout = min(max(millis(v.SessionTimeoutMillis), c.config.MinSessionTimeout), c.config.MaxSessionTimeout)
	if m.rebalanceTimeout = millis(v.RebalanceTimeoutMillis); m.rebalanceTimeout <= 0 {
		m.rebalanceTimeout = m.sessionTimeout
	}
	// Copies: kmsg's slices would keep all of the log that was read with them.
	m.protocols = []kmsg.JoinGroupRequestProtocol{{Name: g.protocol, Metadata: bytes.Clone(v.Subscription)}}
	m.assignment = bytes.Clone(v.Assignment)
	if g.members.get(m.id) != nil || m.static() && g.instances.get(m.instanceID) != nil {
		return // the record names it twice
	}
	c.resize(m, size{})
	c.counts.Members++
	g.add(m)
}

func (c *Coordinator) clearMembers(g *group) {
	for m := range g.list.All() {
		c.shed(m)
		c.counts.Members--
		g.remove(m)
	}
	g.leader, g.protocol = "", ""
	g.state = Empty
}

// Restored ends the restoring: from here on sessions and offsets expire. Removed groups leave nothing.
func (c *Coordinator) Restored(now Instant) {
	for id, g := range c.groups.all {
		if g.list.Len() == 0 && g.commits.Len() == 0 && !g.persisted() {
			c.groups.remove(id)
			c.budget.Give(g.bytes())
			continue
		}
		for m := range g.list.All() {
			// Clients first have to notice that the server is back: they get a little more than their session.
			mark.Hit("a member outlived a restart")
			m.aliveUntil = now.Monotonic + m.sessionTimeout + restartGrace
			c.timers.start(&m.session, m.aliveUntil)
		}
		g.sortCommits()
		c.scheduleExpiry(g, now)
	}
}

// sortCommits restores the order of the commits: a rewritten log has another.
func (g *group) sortCommits() {
	older := func(a, b *committed) int { return cmp.Compare(a.commitMillis, b.commitMillis) }
	all := slices.AppendSeq(make([]*committed, 0, g.commits.Len()), g.commits.All())
	if slices.IsSortedFunc(all, older) {
		return
	}
	slices.SortStableFunc(all, older)
	for _, o := range all {
		g.commits.MoveToBack(&o.inGroup)
	}
}

// restartGrace extends the session timeout after a restart.
const restartGrace = 5 * time.Second
