package scenario

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// createTopic asks for a topic.
func (w *World) createTopic(c *client, t *topic, partitions int32) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = 4, 20_000
	x := kmsg.NewCreateTopicsRequestTopic()
	x.Topic, x.NumPartitions, x.ReplicationFactor = t.name, partitions, 1
	req.Topics = append(req.Topics, x)
	before := t.partitions.watch()
	ended := t.partitions.change(w, partitions)
	c.ask(req, func(answered kmsg.Response) {
		may := t.partitions.unwatch(before)
		if answered == nil {
			ended(unknown)
			return
		}
		switch code := answered.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode; {
		case code == 0:
			ended(done)
		case code == wire.CodeTopicAlreadyExists && (len(may) > 2 || may[0] != 0):
			ended(refused)
		default:
			w.fail("%s creates %s, which may have %v partitions, and gets %s", c.name, t.name, may, errorName(code))
		}
	})
}

// listOffsets is a request for an offset by time.
func listOffsets(p *partition, millis int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version = 1
	t, x := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
	t.Topic, x.Partition, x.Timestamp = p.topic.name, p.index, millis
	t.Partitions = append(t.Partitions, x)
	req.Topics = append(req.Topics, t)
	return req
}
