package group

import (
	"oneplusn/fanout/wire"
	"oneplusn/segment/list"
	"oneplusn/segment/mark"
)

type topicPartition struct {
	topic     string
	partition int32
}

// committed is the offset that a group has committed for one partition.
type committed struct {
	group        *group
	at           topicPartition
	offset       int64
	leaderEpoch  int32 // -1 if the client did not say
	metadata     string
	commitMillis int64
	// expireMillis is the expiry time that the client chose (versions 2 to 4 of OffsetCommit), or -1.
	expireMillis int64
	topic        *topicOffsets
	inGroup      list.Node[*committed] // of group.commits
	inTopic      list.Node[*committed] // of topic.list
	live         liveRecord
}

// offset is the group's offset for a partition, or nil.
func (g *group) offset(at topicPartition) *committed {
	if o := g.offsets.get(at); o != nil && !o.topic.deleted {
		return o
	}
	return nil
}

// offsetAt is a group's offset for a partition, made if there is none, with memory taken for metadata of the given length.
func (c *Coordinator) offsetAt(g *group, at topicPartition, metadataBytes int) (*committed, int16) {
	o := g.offset(at)
	if o != nil {
		if !take(c.budget, held(metadataBytes)-held(len(o.metadata))) {
			return nil, c.counts.refused(wire.CodePolicyViolation)
		}
		return o, 0
	}
	if old := g.offsets.get(at); old != nil {
		mark.Hit("an offset was committed for a topic that was deleted and made again")
		c.dropOffset(old) // of a deleted topic of the same name: its tombstone comes first
	}
	o = &committed{group: g, at: at, expireMillis: -1}
	if !take(c.budget, o.bytes()+held(metadataBytes)) {
		return nil, c.counts.refused(wire.CodePolicyViolation)
	}
	c.addOffset(o)
	return o, 0
}

// addOffset links an offset that has been charged.
func (c *Coordinator) addOffset(o *committed) {
	o.live.source = o
	o.topic = c.topics.get(o.at.topic)
	if o.topic == nil {
		o.topic = &topicOffsets{name: o.at.topic}
		c.topics.put(o.topic.name, o.topic)
	}
	o.at.topic = o.topic.name // one string for all
	o.topic.list.PushBack(&o.inTopic, o)
	o.group.offsets.put(o.at, o)
	o.group.commits.PushBack(&o.inGroup, o)
	c.counts.Offsets++
}

// takeOffset undoes addOffset.
func (c *Coordinator) takeOffset(o *committed) {
	g := o.group
	c.unscan(o)
	o.setExpiry(-1)
	if g.offsets.get(o.at) == o {
		g.offsets.remove(o.at)
	}
	o.inGroup.Remove()
	if o.inTopic.Remove(); o.topic.list.Len() == 0 && !o.topic.deleted {
		c.topics.remove(o.topic.name)
	}
	c.counts.Offsets--
}

// dropOffset forgets an offset and writes its tombstone.
func (c *Coordinator) dropOffset(o *committed) {
	c.takeOffset(o)
	c.tombstone(&o.live)
}

// setExpiry sets the expiry time that the client chose, or -1.
func (o *committed) setExpiry(millis int64) {
	if o.expireMillis >= 0 {
		o.group.explicit--
	}
	if o.expireMillis = millis; millis >= 0 {
		o.group.explicit++
	}
}
