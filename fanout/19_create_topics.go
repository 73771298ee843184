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
//   - What is above --max-partitions, or needs more open files than there may be, is refused (POLICY_VIOLATION).
//   - The answer comes when the directories are on the disk. Until then the next start removes what there is of them.
//   - A topic of that name that is being deleted is deleted first.
func handleCreateTopics(b *base, c *client, req *kmsg.CreateTopicsRequest) {
	wanted := make([]catalog.NewTopic, len(req.Topics))
	for i := range req.Topics {
		wanted[i] = wantedTopic(&req.Topics[i], b.config.Partitions, b.catalog.NodeID())
	}
	reply := c.later()
	b.catalog.CreateTopics(wanted, req.ValidateOnly, func(refused []catalog.Refusal) {
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for i := range wanted {
			r := kmsg.NewCreateTopicsResponseTopic()
			r.Topic = wanted[i].Name
			r.ErrorCode, r.ErrorMessage = refused[i].Answer()
			resp.Topics = append(resp.Topics, r)
		}
		reply(resp)
	})
}

// wantedTopic translates a topic of a request, to this node and with a default number of partitions.
func wantedTopic(req *kmsg.CreateTopicsRequestTopic, partitions int, node int32) catalog.NewTopic {
	want := catalog.NewTopic{Name: req.Topic, Partitions: int(req.NumPartitions), Settings: make(map[string]string)}
	switch {
	case len(req.ReplicaAssignment) > 0:
		want.Partitions = len(req.ReplicaAssignment)
	case req.NumPartitions == -1:
		want.Partitions = partitions
	}
	if req.ReplicationFactor != -1 && req.ReplicationFactor != 1 && len(req.ReplicaAssignment) == 0 {
		want.Refused = catalog.Refuse(wire.CodeInvalidReplicationFactor,
			"replication factor %d was asked for, this is one node: use 1 or -1", req.ReplicationFactor)
		return want
	}
	for _, a := range req.ReplicaAssignment {
		if len(a.Replicas) != 1 || a.Replicas[0] != node || int(a.Partition) >= len(req.ReplicaAssignment) || a.Partition < 0 {
			want.Refused = catalog.Refuse(wire.CodeInvalidReplicaAssignment,
				"partition %d is assigned to %v, this is node %d alone", a.Partition, a.Replicas, node)
			return want
		}
	}
	for _, c := range req.Configs {
		if _, twice := want.Settings[c.Name]; twice || c.Value == nil {
			want.Refused = catalog.Refuse(wire.CodeInvalidConfig, "%s needs one value", c.Name)
			return want
		}
		want.Settings[c.Name] = *c.Value
	}
	return want
}
