package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

// OffsetDelete forgets offsets of topics that no member subscribes to (KIP-496).
func (c *Coordinator) OffsetDelete(now Instant, from Client, req *kmsg.OffsetDeleteRequest) {
	c.queue.asked(from.Ticket)
	resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
	resp.ErrorCode = c.checkGroup(req.Group, true)
	g := c.groups.get(req.Group)
	switch {
	case resp.ErrorCode != 0:
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
	read := make(map[string]bool) // the topics of the request that a member subscribes to
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
				mark.Hit("an offset was to be deleted that a member needs")
				r.ErrorCode = wire.CodeGroupSubscribedToTopic
			} else if o := g.offset(topicPartition{topic.Topic, r.Partition}); o != nil {
				mark.Hit("an offset was deleted on request")
				c.dropOffset(o)
			}
			topic.Partitions = append(topic.Partitions, r)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	c.scheduleExpiry(g, now)
	c.replyDurable(from.Ticket, resp)
}
