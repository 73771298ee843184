package group

import (
	"cmp"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// place is a partition.
type place struct {
	topic     string
	partition int32
}

// committed is how far a group has read one partition.
type committed struct {
	group        *group
	at           place
	offset       int64
	leaderEpoch  int32 // -1 if the client did not say
	metadata     string
	commitMillis int64
	// expireMillis is when the offset is forgotten, if the client asked for a time of its own (versions 2 to 4), or -1.
	expireMillis int64
	topic        *topicOffsets
	links        [lists]offsetLinks
	node         node
}

// OffsetCommit keeps how far a group has read. Clients that are no members may do so while the group has none.
func (c *Coordinator) OffsetCommit(now Instant, from Client, req *kmsg.OffsetCommitRequest) {
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	c.queue.begin()
	g, code := c.commitsTo(now, req)
	for i := range req.Topics {
		topic := kmsg.NewOffsetCommitResponseTopic()
		topic.Topic = req.Topics[i].Topic
		topic.Partitions = make([]kmsg.OffsetCommitResponseTopicPartition, 0, len(req.Topics[i].Partitions))
		for j := range req.Topics[i].Partitions {
			want := &req.Topics[i].Partitions[j]
			r := kmsg.NewOffsetCommitResponseTopicPartition()
			r.Partition, r.ErrorCode = want.Partition, code
			if code == 0 {
				r.ErrorCode = c.commit(now, g, req, place{topic.Topic, want.Partition}, want)
			}
			topic.Partitions = append(topic.Partitions, r)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	if g != nil {
		c.scheduleExpiry(g, now)
	}
	c.replyDurable(from.Ticket, resp)
}

// commitsTo is the group that a request may commit to, or the error for all its partitions.
func (c *Coordinator) commitsTo(now Instant, req *kmsg.OffsetCommitRequest) (*group, int16) {
	if code := c.checkGroup(req.Group, true); code != 0 {
		return nil, code
	}
	g := c.groups.get(req.Group)
	switch {
	case g == nil && req.Generation >= 0:
		return nil, wire.CodeIllegalGeneration
	case g == nil:
		return c.addGroup(req.Group, now)
	case g.state == Empty && req.Generation < 0:
		return g, 0
	}
	m, code := g.find(req.MemberID, given(req.InstanceID))
	switch {
	case code != 0:
		return g, code
	case req.Generation != g.generation:
		return g, wire.CodeIllegalGeneration
	}
	m.alive(now)
	if g.state == Completing {
		// Its partitions may be another's by the time that this arrives there: it joins again, and learns.
		return g, wire.CodeRebalanceInProgress
	}
	return g, 0
}

func (c *Coordinator) commit(
	now Instant, g *group, req *kmsg.OffsetCommitRequest, at place, want *kmsg.OffsetCommitRequestTopicPartition,
) int16 {
	metadata := ""
	if want.Metadata != nil {
		metadata = *want.Metadata
	}
	if len(metadata) > c.config.MaxMetadataBytes {
		return wire.CodeOffsetMetadataTooLarge
	}
	if c.config.PartitionExists != nil && !c.config.PartitionExists(at.topic, at.partition) {
		return wire.CodeUnknownTopicOrPartition
	}
	o, code := c.offsetAt(g, at, len(metadata))
	if code != 0 {
		return code
	}
	o.offset, o.leaderEpoch, o.metadata, o.commitMillis = want.Offset, want.LeaderEpoch, metadata, now.UnixMillis
	expires := int64(-1)
	if req.Version >= 2 && req.Version <= 4 && req.RetentionTimeMillis >= 0 {
		expires = now.UnixMillis + min(req.RetentionTimeMillis, maxWaitMillis)
		c.timers.stop(&g.expiry) // it may be due earlier than thought
	}
	o.setExpiry(expires)
	c.unscan(o)
	g.commits.remove(o)
	g.commits.push(o)
	c.keep(g.trail, &o.node)
	return 0
}

// offset is what a group has committed for a place, or nil.
func (g *group) offset(at place) *committed {
	if o := g.offsets.get(at); o != nil && !o.topic.gone {
		return o
	}
	return nil
}

// offsetAt is a group's offset for a place, made if there is none, with memory taken for metadata of the given length.
func (c *Coordinator) offsetAt(g *group, at place, metadataBytes int) (*committed, int16) {
	o := g.offset(at)
	if o != nil {
		if !c.budget.take(held(metadataBytes) - held(len(o.metadata))) {
			c.counts.Refused++
			return nil, wire.CodePolicyViolation
		}
		return o, 0
	}
	if old := g.offsets.get(at); old != nil {
		c.dropOffset(old) // of a topic of the same name that was deleted: its tombstone comes first
	}
	o = &committed{group: g, at: at, expireMillis: -1}
	if !c.budget.take(o.bytes() + held(metadataBytes)) {
		c.counts.Refused++
		return nil, wire.CodePolicyViolation
	}
	c.addOffset(o)
	return o, 0
}

// addOffset puts an offset, which has been charged, where it is found.
func (c *Coordinator) addOffset(o *committed) {
	o.node.kept = o
	o.topic = c.topics.get(o.at.topic)
	if o.topic == nil {
		o.topic = &topicOffsets{name: o.at.topic, list: offsetList{which: byTopic}}
		c.topics.put(o.topic.name, o.topic)
	}
	o.at.topic = o.topic.name // one string for all
	o.topic.list.push(o)
	o.group.offsets.put(o.at, o)
	o.group.commits.push(o)
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
	g.commits.remove(o)
	if o.topic.list.remove(o); o.topic.list.n == 0 && !o.topic.gone {
		c.topics.remove(o.topic.name)
	}
	c.counts.Offsets--
}

// dropOffset forgets an offset.
func (c *Coordinator) dropOffset(o *committed) {
	c.takeOffset(o)
	c.tombstone(&o.node)
}

// setExpiry sets when an offset is forgotten, if its client said so, or -1.
func (o *committed) setExpiry(millis int64) {
	if o.expireMillis >= 0 {
		o.group.explicit--
	}
	if o.expireMillis = millis; millis >= 0 {
		o.group.explicit++
	}
}

// OffsetFetch tells how far a group has read. Of a group or a partition that it knows nothing of it says -1, without an
// error: a consumer then begins where its configuration says.
func (c *Coordinator) OffsetFetch(req *kmsg.OffsetFetchRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	resp.ErrorCode = c.checkGroup(req.Group, true)
	g, size := c.groups.get(req.Group), c.newReplySize()
	if req.Topics == nil && req.Version >= 2 {
		resp.Topics = allOffsets(g, &size)
		return resp
	}
	for i := range req.Topics {
		topic := kmsg.NewOffsetFetchResponseTopic()
		topic.Topic = req.Topics[i].Topic
		topic.Partitions = make([]kmsg.OffsetFetchResponseTopicPartition, 0, len(req.Topics[i].Partitions))
		for _, partition := range req.Topics[i].Partitions {
			var o *committed
			if g != nil {
				o = g.offset(place{topic.Topic, partition})
			}
			r := size.fetchedOffset(partition, o)
			r.ErrorCode = cmp.Or(r.ErrorCode, resp.ErrorCode)
			topic.Partitions = append(topic.Partitions, r)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// allOffsets lists everything that a group has committed, by topic.
func allOffsets(g *group, size *replySize) []kmsg.OffsetFetchResponseTopic {
	topics := []kmsg.OffsetFetchResponseTopic{}
	if g == nil {
		return topics
	}
	index := make(map[string]int)
	for o := g.commits.first; o != nil; o = o.links[byGroup].next {
		if o.topic.gone {
			continue
		}
		at := o.at
		i, known := index[at.topic]
		if !known {
			i = len(topics)
			index[at.topic] = i
			topic := kmsg.NewOffsetFetchResponseTopic()
			topic.Topic = at.topic
			topics = append(topics, topic)
		}
		topics[i].Partitions = append(topics[i].Partitions, size.fetchedOffset(at.partition, o))
	}
	return topics
}

// OffsetDelete forgets offsets of topics that the group does not read at the time (KIP-496).
func (c *Coordinator) OffsetDelete(now Instant, from Client, req *kmsg.OffsetDeleteRequest) {
	resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
	g, code := c.groups.get(req.Group), c.checkGroup(req.Group, true)
	switch {
	case code != 0:
		resp.ErrorCode = code
	case g == nil:
		resp.ErrorCode = wire.CodeGroupIDNotFound
	case g.state != Empty && g.protocolType != consumerProtocol:
		resp.ErrorCode = wire.CodeNonEmptyGroup
	}
	if resp.ErrorCode != 0 {
		c.reply(from.Ticket, resp)
		return
	}
	c.queue.begin()
	read := make(map[string]bool) // the topics of the request that are read
	for i := range req.Topics {
		read[req.Topics[i].Topic] = false
	}
	g.eachSubscribed(func(topic []byte) {
		if is, named := read[string(topic)]; named && !is {
			read[string(topic)] = true
		}
	})
	for i := range req.Topics {
		topic := kmsg.NewOffsetDeleteResponseTopic()
		topic.Topic = req.Topics[i].Topic
		subscribed := read[topic.Topic]
		for j := range req.Topics[i].Partitions {
			r := kmsg.NewOffsetDeleteResponseTopicPartition()
			r.Partition = req.Topics[i].Partitions[j].Partition
			if subscribed {
				r.ErrorCode = wire.CodeGroupSubscribedToTopic
			} else if o := g.offset(place{topic.Topic, r.Partition}); o != nil {
				c.dropOffset(o)
			}
			topic.Partitions = append(topic.Partitions, r)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	c.scheduleExpiry(g, now)
	c.replyDurable(from.Ticket, resp)
}
