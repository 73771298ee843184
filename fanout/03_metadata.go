package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment/mark"
)

func init() {
	register(handleMetadata, Request{Max: wire.MetadataVersions - 1, onlyAsks: true,
		Does:     "lists topics, partitions and their leaders; creates missing topics",
		Versions: "from 4 on the client decides whether a missing topic is created",
		Errors: []int16{wire.CodeUnknownTopicOrPartition, wire.CodeLeaderNotAvailable, wire.CodeInvalidTopic,
			wire.CodePolicyViolation, wire.CodeKafkaStorageError},
	})
}

// handleMetadata lists topics and the leaders of their partitions: all on this node.
//
// Behaviour:
//   - No list of topics means all of them; so does an empty one in version 0.
//   - A requested topic that is missing is created, if the server and (from version 4 on) the client allow it. The answer
//     waits for that. Above --auto-create-limit topics, or without room for more, the error is POLICY_VIOLATION.
//   - The address is --advertise, or else the one that this client connected to.
func handleMetadata(b *base, c *client, req *kmsg.MetadataRequest) {
	if req.Topics == nil || req.Version == 0 && len(req.Topics) == 0 {
		c.sendAllTopics()
		return
	}
	names := metadataNames(req)
	refused := make(map[string]bool) // not created, because there are too many
	var missing []string
	if b.config.AutoCreateTopics && (req.Version < 4 || req.AllowAutoTopicCreation) {
		missing = b.catalog.Creatable(names, refused)
	}
	if len(missing) == 0 {
		if !c.PutOff(b.catalog.CountPartitions(names)) {
			c.sendTopics(names, refused)
		}
		return
	}
	mark.Hit("topics were made because a client asked for them")
	end := c.Errand()
	b.catalog.CreateMissing(missing, refused, func() {
		if end() {
			c.sendTopics(names, refused)
		}
	})
}

// metadataNames are the topics that the client asked for, in its order.
func metadataNames(req *kmsg.MetadataRequest) []string {
	names := make([]string, 0, len(req.Topics))
	for i := range req.Topics {
		if t := req.Topics[i].Topic; t != nil {
			names = append(names, *t)
		}
	}
	return names
}
