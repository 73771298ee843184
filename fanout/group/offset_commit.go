package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

// OffsetCommit stores how far a group has read. Clients that are not members may commit while the group has none.
func (c *Coordinator) OffsetCommit(now Instant, from Client, req *kmsg.OffsetCommitRequest) {
	c.queue.asked(from.Ticket)
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
				r.ErrorCode = c.commit(now, g, req, topicPartition{topic.Topic, want.Partition}, want)
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
		mark.Hit("a client that is no member committed")
		return g, 0
	}
	m, code := g.find(req.MemberID, textOf(req.InstanceID))
	switch {
	case code != 0:
		return g, code
	case req.Generation != g.generation:
		mark.Hit("a commit of another generation was refused")
		return g, wire.CodeIllegalGeneration
	}
	m.alive(now)
	if g.state == Completing {
		mark.Hit("a commit before the assignments were known was refused")
		// Its partitions may have a new owner already: make it join again.
		return g, wire.CodeRebalanceInProgress
	}
	return g, 0
}

func (c *Coordinator) commit(
	now Instant, g *group, req *kmsg.OffsetCommitRequest, at topicPartition, want *kmsg.OffsetCommitRequestTopicPartition,
) int16 {
	metadata := textOf(want.Metadata)
	if len(metadata) > c.config.MaxMetadataBytes {
		return wire.CodeOffsetMetadataTooLarge
	}
	if c.config.PartitionExists != nil && !c.config.PartitionExists(at.topic, at.partition) {
		mark.Hit("a commit for a partition that is not there was refused")
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
		mark.Hit("a commit came with its own time to expire")
		c.timers.stop(&g.expiry) // this offset may expire earlier
	}
	o.setExpiry(expires)
	c.unscan(o)
	g.commits.MoveToBack(&o.inGroup)
	c.persist(g.log, &o.live)
	return 0
}
