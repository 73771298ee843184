package group

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
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
	g := c.groups.get(id)
	if g == nil {
		g = newGroup(id, now)
		g.trail = &c.trails[partition]
		c.groups.put(id, g)
		c.budget.force(g.bytes())
	}
	return g
}

func (c *Coordinator) restoreOffset(now Instant, partition int32, offset int64, k *kmsg.OffsetCommitKey, value []byte) error {
	at := place{k.Topic, k.Partition}
	if value == nil {
		if g := c.groups.get(k.Group); g != nil && g.offsets.get(at) != nil {
			o := g.offsets.get(at)
			o.node.unlink()
			c.takeOffset(o)
			c.budget.give(o.bytes())
		}
		return nil
	}
	if !countsFit(value, (*flexible).offsetValue) {
		return fmt.Errorf("group: the value of record %d, an offset of group %q, is of a version above %d or cut short: %d bytes",
			offset, k.Group, maxValueVersion, len(value))
	}
	var v kmsg.OffsetCommitValue
	if err := v.ReadFrom(value); err != nil {
		return fmt.Errorf("group: the value of record %d, an offset of group %q: %w", offset, k.Group, err)
	}
	g := c.restored(now, k.Group, partition)
	o := g.offsets.get(at)
	if o == nil {
		o = &committed{group: g, at: at, expireMillis: -1}
		c.budget.force(o.bytes())
		c.addOffset(o)
	}
	c.budget.force(held(len(v.Metadata)) - held(len(o.metadata)))
	o.offset, o.metadata, o.commitMillis = v.Offset, v.Metadata, v.CommitTimestamp
	if o.leaderEpoch = -1; v.Version >= 3 {
		o.leaderEpoch = v.LeaderEpoch
	}
	expires := int64(-1)
	if v.Version == offsetValueVersionWithExpiry {
		expires = max(v.ExpireTimestamp, -1)
	}
	o.setExpiry(expires)
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
		if g := c.groups.get(id); g != nil {
			c.clearMembers(g)
			g.node.unlink()
			c.setProtocolType(g, "")
			g.generation = 0
		}
		return nil
	}
	if !countsFit(value, (*flexible).groupValue) {
		return fmt.Errorf("group: the value of record %d, the membership of group %q, is of a version above %d or cut short: %d bytes",
			offset, id, maxValueVersion, len(value))
	}
	var v kmsg.GroupMetadataValue
	if err := v.ReadFrom(value); err != nil {
		return fmt.Errorf("group: the value of record %d, the membership of group %q: %w", offset, id, err)
	}
	g := c.restored(now, id, partition)
	c.clearMembers(g)
	g.node.restore(g.trail, offset)
	c.setProtocolType(g, v.ProtocolType)
	g.state, g.generation = Empty, v.Generation
	if g.emptySinceMillis = now.UnixMillis; v.Version >= 2 && v.CurrentStateTimestamp >= 0 {
		g.emptySinceMillis = v.CurrentStateTimestamp
	}
	if v.Protocol != nil {
		g.protocol = *v.Protocol
	}
	for i := range v.Members {
		c.restoreMember(g, &v.Members[i])
	}
	if g.list.n > 0 {
		g.state, g.leader = Stable, g.list.first.id
	}
	if v.Leader != nil && g.members.get(*v.Leader) != nil {
		g.leader = *v.Leader
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
	if g.members.get(m.id) != nil || m.static() && g.instances.get(m.instanceID) != nil {
		return // the record names it twice
	}
	c.resize(m, size{})
	c.counts.Members++
	g.add(m)
}

func (c *Coordinator) clearMembers(g *group) {
	for m := range g.list.all() {
		c.shed(m)
		c.counts.Members--
		g.remove(m)
	}
	g.leader, g.protocol = "", ""
	g.state = Empty
}

// Restored ends what Restore began: from here on members have to be heard of, and offsets expire. Groups that were
// removed leave nothing.
func (c *Coordinator) Restored(now Instant) {
	for id, g := range c.groups.all {
		if g.list.n == 0 && g.commits.n == 0 && !g.kept() {
			c.groups.remove(id)
			c.budget.give(g.bytes())
			continue
		}
		for m := range g.list.all() {
			// The clients find out first that the server was away: they get a little longer than their session.
			m.aliveUntil = now.Monotonic + m.sessionTimeout + restartGrace
			c.timers.start(&m.session, m.aliveUntil)
		}
		g.sortCommits()
		c.scheduleExpiry(g, now)
	}
}

// sortCommits puts the offsets in the order of their commits again: a log that was rewritten has another.
func (g *group) sortCommits() {
	older := func(a, b *committed) int { return cmp.Compare(a.commitMillis, b.commitMillis) }
	all := make([]*committed, 0, g.commits.n)
	for o := g.commits.first; o != nil; o = o.links[byGroup].next {
		all = append(all, o)
	}
	if slices.IsSortedFunc(all, older) {
		return
	}
	slices.SortStableFunc(all, older)
	g.commits = offsetList{which: byGroup}
	for _, o := range all {
		g.commits.push(o)
	}
}

// restartGrace is what members get on top of their session timeout after a restart.
const restartGrace = 5 * time.Second
