package fanout

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// handleDeleteTopics deletes topics.
//
// Behaviour:
//   - A topic is deleted with all of its partitions or not at all, whenever the server ends: see [removal]. If that cannot
//     be written down the topic stays as it is.
//   - From the answer on the topic is unknown, and so are the offsets that groups have committed for it, restarts
//     included: the answer waits until they are written off. Fetches and produces that wait for the topic are told at once.
//   - Responses under way are finished: their segments stay until the last byte has been sent.
//   - A topic that is being made, or configured, is deleted after that.
//
// Versions: 0 to 3.
func (b *Broker) handleDeleteTopics(c *client, req *kmsg.DeleteTopicsRequest) {
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	end := c.errand()
	b.topics.changes.enter(b.concerned(req.TopicNames), func(job *dirJob) {
		victims := b.checkDeletions(req, resp, job)
		b.deleteTopics(victims, func(err error) {
			for i := range resp.Topics {
				if r := &resp.Topics[i]; r.ErrorCode == 0 && err != nil {
					r.ErrorCode = wire.CodeKafkaStorageError
				}
			}
			job.release()
			if end() {
				b.replyReaped(c, resp)
			}
		})
	})
}

// checkDeletions answers for topics that cannot be deleted, and says which the others are.
func (b *Broker) checkDeletions(req *kmsg.DeleteTopicsRequest, resp *kmsg.DeleteTopicsResponse, job *dirJob) (victims []*topic) {
	for _, name := range req.TopicNames { // without repeats
		r := kmsg.NewDeleteTopicsResponseTopic()
		r.Topic = kmsg.StringPtr(name)
		switch tp := b.topics.byName[name]; {
		case !job.holds(name): // it was not there when the request came
			r.ErrorCode = unknownTopic(name)
		case tp != nil && tp.internal:
			r.ErrorCode = wire.CodeInvalidTopic
		case tp != nil && tp.refused() > 0:
			r.ErrorCode = wire.CodeKafkaStorageError // the files may be all that is left of the records
		case tp != nil:
			victims = append(victims, tp)
		default:
			r.ErrorCode = unknownTopic(name)
		}
		resp.Topics = append(resp.Topics, r)
	}
	return victims
}

func unknownTopic(name string) int16 {
	if wire.TopicNameError([]byte(name)) != nil {
		return wire.CodeInvalidTopic
	}
	return wire.CodeUnknownTopicOrPartition
}

// concerned are those of the names that a request about topics that are there has to hold: a topic has them, or a change that
// is under way or waits. A request may name a hundred thousand others.
func (b *Broker) concerned(names []string) (there []string) {
	for _, name := range names {
		if b.topics.byName[name] != nil || b.topics.changes.held(name) {
			there = append(there, name)
		}
	}
	return there
}

// deleteTopics deletes topics whose names are held, and calls done on the loop: with an error if they are all there still.
func (b *Broker) deleteTopics(victims []*topic, done func(error)) {
	if len(victims) == 0 {
		done(nil)
		return
	}
	var parts []removedPartitions
	for _, tp := range victims {
		parts = append(parts, removedPartitions{tp.name, 0, int32(len(tp.partitions))})
	}
	r := newRemoval(b.topics.fs, b.topics.dir, parts)
	b.endLives(victims, func(err error) {
		if err != nil && !noSpace(err) {
			b.deletionFailed(victims, err, done)
			return
		}
		b.loop.Go(func() { err = r.announce() }, func() {
			if err != nil && !noSpace(err) {
				b.deletionFailed(victims, err, done)
				return
			}
			b.topics.lives.end(victims)
			var gone []*segment.Deleted
			for _, tp := range victims {
				gone = append(gone, b.forgetTopic(tp)...)
			}
			// From here on they are deleted, and stay so: what fails is finished later. But without the mark nobody knows that.
			marked := err == nil
			b.finishRemoval(r, gone, func(err error) {
				if marked {
					err = nil
				}
				done(err)
			})
		})
	})
}

func (b *Broker) deletionFailed(victims []*topic, err error, done func(error)) {
	b.loop.Log.Error("topics could not be deleted, they stay", "topics", len(victims), "first", victims[0].name, "error", err,
		"remedy", storageRemedy(err))
	done(err)
}

// noSpace says that a full disk is in the way. It must not be in the way of a deletion, which makes room: that goes on
// without what cannot be written down first.
func noSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// forgetTopic takes a topic that is to be deleted out of the table, tells everybody who waits for it, and ends its logs. Their
// directories are still there.
func (b *Broker) forgetTopic(tp *topic) []*segment.Deleted {
	delete(b.topics.byName, tp.name)
	if b.groups.coordinator != nil {
		b.groups.coordinator.TopicDeleted(b.instant(), tp.name)
	}
	gone := make([]*segment.Deleted, 0, len(tp.partitions))
	// The last one first: should there be no mark, what a crash leaves is a topic with fewer partitions, not one with a gap.
	for _, p := range slices.Backward(tp.partitions) {
		delete(b.topics.starts, p.directory()) // or one of the same name would begin there
		b.markGrown(p)                         // whoever waits finds the topic gone
		b.refuseAcks(p, wire.CodeUnknownTopicOrPartition, "the topic was deleted")
		b.refuseAppends(p, fmt.Errorf("%w: the topic was deleted", segment.ErrClosed))
		gone = append(gone, p.log.Delete())
	}
	b.topics.room.give(tp.counted())
	b.loop.Log.Info("topic deleted", "topic", tp.name, "partitions", len(tp.partitions))
	return gone
}
