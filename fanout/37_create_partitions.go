package fanout

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// handleCreatePartitions gives topics more partitions.
//
// Behaviour:
//   - The number is the whole, not what is added; a topic never has fewer than before. Keys are placed by the number,
//     so records of one key may be found in two partitions from then on.
//   - The answer comes when the directories are on the disk. Waiting consumers find out by their next metadata request.
//   - Changes of one topic are made one after the other.
//
// Versions: 0 and 1.
func (b *Broker) handleCreatePartitions(c *client, req *kmsg.CreatePartitionsRequest) {
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	if req.ValidateOnly {
		b.checkNewPartitions(req, resp, nil)
		b.reply(c, resp)
		return
	}
	names := make([]string, 0, len(req.Topics))
	for i := range req.Topics {
		names = append(names, req.Topics[i].Topic)
	}
	end := c.errand()
	plan := func(job *dirJob) []newTopic { return b.checkNewPartitions(req, resp, job) }
	b.makeTopics(b.concerned(names), plan, func(failed map[string]error) {
		for i := range resp.Topics {
			if r := &resp.Topics[i]; r.ErrorCode == 0 && failed[r.Topic] != nil {
				r.ErrorCode, r.ErrorMessage = wire.CodeKafkaStorageError, kmsg.StringPtr(failed[r.Topic].Error())
			}
		}
		if end() {
			b.reply(c, resp)
		}
	})
}

// checkNewPartitions answers for topics that cannot get partitions, and says which the others get. job holds those that were
// there when the request came; it is nil if nothing is to be made.
func (b *Broker) checkNewPartitions(
	req *kmsg.CreatePartitionsRequest, resp *kmsg.CreatePartitionsResponse, job *dirJob,
) (wanted []newTopic) {
	seen := make(map[string]bool)
	for i := range req.Topics {
		want := &req.Topics[i]
		r := kmsg.NewCreatePartitionsResponseTopic()
		r.Topic = want.Topic
		code, message := int16(wire.CodeUnknownTopicOrPartition), ""
		if job == nil || job.holds(want.Topic) {
			code, message = b.checkMorePartitions(want, seen)
		}
		if code == 0 {
			code, message = b.takeRoom(int(want.Count)-len(b.topics.byName[want.Topic].partitions), req.ValidateOnly)
		}
		if r.ErrorCode = code; message != "" {
			r.ErrorMessage = kmsg.StringPtr(message)
		}
		seen[want.Topic] = true
		resp.Topics = append(resp.Topics, r)
		if code == 0 {
			tp := b.topics.byName[want.Topic]
			wanted = append(wanted, newTopic{
				name: tp.name, first: len(tp.partitions), partitions: int(want.Count), config: tp.config, id: tp.partitions[0].log.TopicID(),
			})
		}
	}
	return wanted
}

func (b *Broker) checkMorePartitions(want *kmsg.CreatePartitionsRequestTopic, seen map[string]bool) (code int16, message string) {
	tp := b.topics.byName[want.Topic]
	switch {
	case seen[want.Topic]:
		return wire.CodeInvalidRequest, fmt.Sprintf("topic %s is in the request twice", want.Topic)
	case tp == nil:
		return wire.CodeUnknownTopicOrPartition, ""
	case tp.internal:
		return wire.CodeInvalidTopic, fmt.Sprintf("topic %s is the server's own", want.Topic)
	case tp.refused() > 0:
		return wire.CodeKafkaStorageError, fmt.Sprintf("%d partitions of topic %s are refused: see the server's log", tp.refused(), want.Topic)
	case want.Count > maxPartitions || int(want.Count) <= len(tp.partitions):
		return wire.CodeInvalidPartitions, fmt.Sprintf("topic %s has %d partitions; allowed are more, up to %d, not %d",
			want.Topic, len(tp.partitions), maxPartitions, want.Count)
	case len(want.Assignment) > 0 && len(want.Assignment) != int(want.Count)-len(tp.partitions):
		return wire.CodeInvalidReplicaAssignment, fmt.Sprintf("%d partitions are to be made, %d are assigned",
			int(want.Count)-len(tp.partitions), len(want.Assignment))
	}
	for i := range want.Assignment {
		if r := want.Assignment[i].Replicas; len(r) != 1 || r[0] != b.topics.meta.nodeID {
			return wire.CodeInvalidReplicaAssignment, fmt.Sprintf("a partition is assigned to %v, this is node %d alone", r, b.topics.meta.nodeID)
		}
	}
	return 0, ""
}
