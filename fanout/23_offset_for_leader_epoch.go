package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// handleOffsetForLeaderEpoch says where a leader epoch ended, by which consumers find out that a log was cut
// (KIP-320). There is one epoch here, and it has not ended.
//
// Behaviour:
//   - The epoch of the log or a later one: the log's end. An earlier one: no offset, epoch -1.
//
// Versions: 3. Java's consumer does not use a lower one.
func (b *Broker) handleOffsetForLeaderEpoch(req *kmsg.OffsetForLeaderEpochRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	for i := range req.Topics {
		topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
		topic.Topic = req.Topics[i].Topic
		for j := range req.Topics[i].Partitions {
			topic.Partitions = append(topic.Partitions, b.epochEnd(topic.Topic, &req.Topics[i].Partitions[j]))
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (b *Broker) epochEnd(
	topic string, want *kmsg.OffsetForLeaderEpochRequestTopicPartition,
) kmsg.OffsetForLeaderEpochResponseTopicPartition {
	r := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
	r.Partition, r.LeaderEpoch, r.EndOffset = want.Partition, -1, -1
	p := b.topics.find([]byte(topic), want.Partition)
	if p == nil {
		r.ErrorCode = wire.CodeUnknownTopicOrPartition
		return r
	}
	if r.ErrorCode = checkLeaderEpoch(want.CurrentLeaderEpoch, p.log.LeaderEpoch()); r.ErrorCode != 0 {
		return r
	}
	if epoch := p.log.LeaderEpoch(); want.LeaderEpoch == epoch {
		r.LeaderEpoch, r.EndOffset = epoch, p.log.HighWatermark()
	}
	return r
}
