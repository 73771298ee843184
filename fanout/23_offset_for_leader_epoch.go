package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

func init() {
	register(handleOffsetForLeaderEpoch, Request{Min: 3, Max: 3, onlyAsks: true,
		Does:     "returns where a leader epoch ended (KIP-320)",
		Versions: "Java's consumer does not use one below 3",
		Errors: []int16{wire.CodeUnknownTopicOrPartition, wire.CodeKafkaStorageError, wire.CodeFencedLeaderEpoch,
			wire.CodeUnknownLeaderEpoch},
	})
}

// handleOffsetForLeaderEpoch returns where a leader epoch ended: so consumers detect that a log was truncated (KIP-320). A
// log gets a new epoch at a start that may have lost records, and a topic that is created again begins above all epochs that its
// name has used: see package catalog.
//
// Behaviour:
//   - The answer is the largest epoch that is not above the one asked for, and the offset behind its last record, at most
//     the high watermark. An epoch below the log's first ended where the log begins; for one above the current epoch the
//     answer is -1 and -1.
func handleOffsetForLeaderEpoch(b *base, c *client, req *kmsg.OffsetForLeaderEpochRequest) {
	resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	for i := range req.Topics {
		topic := kmsg.OffsetForLeaderEpochResponseTopic{Topic: req.Topics[i].Topic}
		for j := range req.Topics[i].Partitions {
			topic.Partitions = append(topic.Partitions, b.epochEnd(topic.Topic, &req.Topics[i].Partitions[j]))
		}
		resp.Topics = append(resp.Topics, topic)
	}
	c.reply(resp)
}

func (b *base) epochEnd(
	topic string, want *kmsg.OffsetForLeaderEpochRequestTopicPartition,
) kmsg.OffsetForLeaderEpochResponseTopicPartition {
	r := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
	r.Partition, r.LeaderEpoch, r.EndOffset = want.Partition, -1, -1
	p, code := b.catalog.Find([]byte(topic), want.Partition)
	if p == nil {
		r.ErrorCode = code
		return r
	}
	if r.ErrorCode = p.Fetch.CheckLeaderEpoch(want.CurrentLeaderEpoch); r.ErrorCode != 0 {
		return r
	}
	if want.LeaderEpoch > p.Log.LeaderEpoch() {
		return r
	}
	if r.LeaderEpoch, r.EndOffset = p.Log.EpochEnd(want.LeaderEpoch); r.EndOffset > p.Log.HighWatermark() {
		r.EndOffset = p.Log.HighWatermark() // what is not committed could still be cut
	}
	return r
}
