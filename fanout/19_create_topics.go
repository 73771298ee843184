package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/wire"
)

func init() {
	register(handleCreateTopics, Request{Max: 4,
		Does:     "creates topics",
		Versions: "from 1 on with validate_only and error messages",
		Errors: []int16{wire.CodeInvalidTopic, wire.CodeTopicAlreadyExists, wire.CodeInvalidPartitions,
			wire.CodeInvalidReplicationFactor, wire.CodeInvalidReplicaAssignment, wire.CodeInvalidConfig,
			wire.CodeInvalidRequest, wire.CodePolicyViolation, wire.CodeKafkaStorageError},
	})
}

// handleCreateTopics makes topics.
//
// Behaviour:
//   - The number of partitions is the request's, or --partitions for -1. The replication factor must be -1 or 1.
//   - Settings that exist here can be given, within their limits; others are refused by name.
//   - Topics beyond --max-partitions or the limit on open files are refused (POLICY_VIOLATION).
//   - The answer comes when the directories are durable. If the server ends before that, the next start removes them.
//   - A topic of that name that is being deleted is deleted first.
func handleCreateTopics(b *base, c *client, req *kmsg.CreateTopicsRequest) {
	reply := c.later()
	b.catalog.CreateTopics(req.Topics, req.ValidateOnly, func(refused []catalog.Refusal) {
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for i := range req.Topics {
			r := kmsg.NewCreateTopicsResponseTopic()
			r.Topic = req.Topics[i].Topic
			r.ErrorCode, r.ErrorMessage = refused[i].Answer()
			resp.Topics = append(resp.Topics, r)
		}
		reply(resp)
	})
}
