package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/wire"
)

func init() {
	register(handleCreatePartitions, Request{Max: 1,
		Does: "gives topics more partitions",
		Errors: []int16{wire.CodeUnknownTopicOrPartition, wire.CodeInvalidTopic, wire.CodeInvalidPartitions,
			wire.CodeInvalidReplicaAssignment, wire.CodeInvalidRequest, wire.CodePolicyViolation, wire.CodeKafkaStorageError},
	})
}

// handleCreatePartitions gives topics more partitions.
//
// Behaviour:
//   - The number is the new total; a topic never loses partitions. Keys are hashed to the number of partitions, so
//     records of one key may be in two partitions from then on.
//   - The answer comes when the directories are durable. Consumers see the partitions in their next metadata request.
//   - Changes of one topic are made one after the other.
func handleCreatePartitions(b *base, c *client, req *kmsg.CreatePartitionsRequest) {
	reply := c.later()
	b.catalog.AddPartitions(req.Topics, req.ValidateOnly, func(refused []catalog.Refusal) {
		resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
		for i := range req.Topics {
			r := kmsg.CreatePartitionsResponseTopic{Topic: req.Topics[i].Topic}
			r.ErrorCode, r.ErrorMessage = refused[i].Answer()
			resp.Topics = append(resp.Topics, r)
		}
		reply(resp)
	})
}
