package group

import (
	"cmp"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetFetch tells how far a group has read. An unknown group or partition is answered with offset -1 and no error: the
// consumer then begins where its configuration says.
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
				o = g.offset(topicPartition{topic.Topic, partition})
			}
			r := size.fetchedOffset(partition, o)
			r.ErrorCode = cmp.Or(r.ErrorCode, resp.ErrorCode)
			topic.Partitions = append(topic.Partitions, r)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// allOffsets lists a group's offsets by topic.
func allOffsets(g *group, size *replySize) []kmsg.OffsetFetchResponseTopic {
	topics := []kmsg.OffsetFetchResponseTopic{}
	if g == nil {
		return topics
	}
	index := make(map[string]int)
	for o := range g.commits.All() {
		if o.topic.deleted {
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
