package scenario

import (
	"fmt"
	"math/rand/v2"
	"slices"

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
	mayBeThere := !t.partitions.is(0) // now, or by another's request meanwhile
	ended := t.partitions.change(w, partitions)
	serial := t.partitions.serial
	c.ask(req, func(answered kmsg.Response) {
		mayBeThere = mayBeThere || t.partitions.serial != serial
		if answered == nil {
			ended(unknown)
			return
		}
		switch code := answered.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode; {
		case code == 0:
			ended(done)
		case code == wire.CodeTopicAlreadyExists && mayBeThere:
			ended(refused)
		default:
			w.fail("%s creates %s, which may be there: %v, and gets %s", c.name, t.name, mayBeThere, errorName(code))
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

// deleteTopic asks for a topic's deletion.
func (w *World) deleteTopic(c *client, t *topic) {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version, req.TimeoutMillis, req.TopicNames = 3, 20_000, []string{t.name}
	before := t.partitions.watch()
	ended := t.partitions.change(w, 0)
	t.deleting()
	c.ask(req, func(answered kmsg.Response) {
		may := t.partitions.unwatch(before)
		if answered == nil {
			ended(unknown)
			return
		}
		switch code := answered.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode; {
		case code == 0 && slices.Max(may) > 0:
			ended(done)
		case code == wire.CodeUnknownTopicOrPartition && slices.Contains(may, 0):
			ended(done)
		case slices.ContainsFunc(t.logs, func(p *partition) bool { return p.refuses(code) }):
			ended(refused)
		default:
			w.fail("%s deletes %s, which may have %v partitions, and gets %s", c.name, t.name, may, errorName(code))
		}
	})
}

// admin is one of the clients that change topics.
func (w *World) admin(n int) *client {
	for len(w.admins) <= n {
		w.admins = append(w.admins, w.newClient(fmt.Sprintf("a%d", len(w.admins)), w.draw.Uint64()))
	}
	return w.admins[n]
}

func (w *World) someoneCreates(r *rand.Rand) {
	if !w.calm {
		w.createTopic(w.admin(r.IntN(2)), w.model.topics[r.IntN(len(w.model.topics))], 1+r.Int32N(3))
	}
}

func (w *World) someoneDeletes(r *rand.Rand) {
	if !w.calm {
		w.deleteTopic(w.admin(r.IntN(2)), w.model.topics[r.IntN(len(w.model.topics))])
	}
}
