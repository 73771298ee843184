package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

func init() {
	register(handleDeleteTopics, Request{Max: 3,
		Does:   "deletes topics",
		Errors: []int16{wire.CodeUnknownTopicOrPartition, wire.CodeInvalidTopic, wire.CodeKafkaStorageError},
	})
}

// handleDeleteTopics deletes topics.
//
// Behaviour:
//   - A topic is deleted with all of its partitions or not at all, whenever the server ends: see package catalog. If the deletion
//     cannot be recorded on disk, the topic stays.
//   - From the answer on the topic is unknown, and so are the offsets that groups have committed for it, restarts
//     included: the answer waits for the tombstones. Parked fetches and produces of the topic are answered at once.
//   - Responses under way are finished: their segments stay until the last byte has been sent.
//   - A topic that is being made, or configured, is deleted after that.
func handleDeleteTopics(b *base, c *client, req *kmsg.DeleteTopicsRequest) {
	end := c.Errand()
	b.catalog.DeleteTopics(req.TopicNames, func(codes []int16) {
		resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
		for i, name := range req.TopicNames {
			resp.Topics = append(resp.Topics, kmsg.DeleteTopicsResponseTopic{Topic: kmsg.StringPtr(name), ErrorCode: codes[i]})
		}
		if end() {
			c.coordinated = true
			b.offsets.ReplyReaped(uint64(c.ID()), resp)
		}
	})
}
