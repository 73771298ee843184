package fanout

import (
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// handleDeleteTopics deletes topics.
//
// Behaviour:
//   - From the answer on the topic is unknown, and so are the offsets that groups have committed for it, restarts
//     included: the answer waits until they are written off. Fetches that wait for the topic are told so.
//   - Responses under way are finished: their segments stay until the last byte has been sent.
//
// Versions: 0 to 3.
func (b *Broker) handleDeleteTopics(c *conn, req *kmsg.DeleteTopicsRequest) {
	slot, generation := c.slot, c.generation
	b.endLives(req.TopicNames, func(failed error) {
		resp := b.deleteTopics(req, failed)
		if c := b.again(slot, generation); c != nil {
			b.replyForgotten(c, resp)
		}
	})
}

func (b *Broker) deleteTopics(req *kmsg.DeleteTopicsRequest, failed error) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	for _, name := range req.TopicNames {
		r := kmsg.NewDeleteTopicsResponseTopic()
		r.Topic = kmsg.StringPtr(name)
		switch tp := b.topics.byName[name]; {
		case tp != nil && tp.internal:
			r.ErrorCode = wire.CodeInvalidTopic
		case tp != nil && (tp.refused() > 0 || failed != nil):
			r.ErrorCode = wire.CodeKafkaStorageError // of refused ones the files may be all that is left of the records
		case tp != nil:
			b.deleteTopic(tp)
		case wire.TopicNameError([]byte(name)) != nil:
			r.ErrorCode = wire.CodeInvalidTopic
		default:
			r.ErrorCode = wire.CodeUnknownTopicOrPartition
		}
		resp.Topics = append(resp.Topics, r)
	}
	return resp
}

// deleteTopic takes the topic's directories out of the way, by a rename each, and removes the files in the background.
func (b *Broker) deleteTopic(tp *topic) {
	delete(b.topics.byName, tp.name)
	b.forgetStarts(tp)
	if b.groups.coordinator != nil {
		b.groups.coordinator.TopicDeleted(b.instant(), tp.name)
	}
	b.deletePartitions(tp)
	b.log.Info("topic deleted", "topic", tp.name, "partitions", len(tp.partitions))
}

// deletePartitions takes the directories of partitions out of the way and removes the files in the background.
func (b *Broker) deletePartitions(tp *topic) {
	var removals []func() error
	// The last one first: what a crash leaves then is a topic with fewer partitions, not one with a gap.
	for _, p := range slices.Backward(tp.partitions) {
		b.markGrown(p) // whoever waits finds the topic gone
		b.refuseAcks(p, wire.CodeUnknownTopicOrPartition, "the topic was deleted")
		gone := p.log.Delete()
		if err := gone.MoveAside(); err != nil {
			b.log.Error("a partition's files could not be removed", "topic", tp.name, "partition", p.index, "error", err)
			continue
		}
		removals = append(removals, gone.Remove)
	}
	b.background(func() func() {
		var errs []error
		for _, remove := range removals {
			errs = append(errs, remove())
		}
		err := errors.Join(errs...)
		return func() {
			if err != nil {
				b.log.Error("a deleted topic's files could not be removed", "topic", tp.name, "error", err)
			}
		}
	})
}

// forgetStarts drops what is written down of the logs' starts, or a topic of the same name would begin there. The name
// is held until that is done.
func (b *Broker) forgetStarts(tp *topic) {
	any := false
	for _, p := range tp.partitions {
		if _, ok := b.topics.starts[p.directory()]; ok {
			delete(b.topics.starts, p.directory())
			any = true
		}
	}
	if !any {
		return
	}
	b.topics.making[tp.name] = true
	b.writeLogStarts(func(err error) {
		delete(b.topics.making, tp.name)
		if err != nil {
			b.log.Error("the start of a deleted topic's logs could not be forgotten", "topic", tp.name, "error", err,
				"remedy", "remove its lines from "+segment.LogStartFile+" before the next start")
		}
	})
}
