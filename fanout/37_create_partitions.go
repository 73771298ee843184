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
//   - The number is the whole, not what is added; a topic never has fewer than before. Keys are placed by the number,
//     so records of one key may be found in two partitions from then on.
//   - The answer comes when the directories are on the disk. Waiting consumers find out by their next metadata request.
//   - Changes of one topic are made one after the other.
func handleCreatePartitions(b *base, c *client, req *kmsg.CreatePartitionsRequest) {
	wanted := make([]catalog.MorePartitions, len(req.Topics))
	node := b.catalog.NodeID()
	for i := range req.Topics {
		t, want := &req.Topics[i], &wanted[i]
		want.Topic, want.Count, want.Assigned = t.Topic, int(t.Count), len(t.Assignment)
		for j := range t.Assignment {
			if r := t.Assignment[j].Replicas; want.Refused.Code == 0 && (len(r) != 1 || r[0] != node) {
				want.Refused = catalog.Refuse(wire.CodeInvalidReplicaAssignment, "a partition is assigned to %v, this is node %d alone", r, node)
			}
		}
	}
	reply := c.later()
	b.catalog.AddPartitions(wanted, req.ValidateOnly, func(refused []catalog.Refusal) {
		resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
		for i := range wanted {
			r := kmsg.CreatePartitionsResponseTopic{Topic: wanted[i].Topic}
			r.ErrorCode, r.ErrorMessage = refused[i].Answer()
			resp.Topics = append(resp.Topics, r)
		}
		reply(resp)
	})
}
