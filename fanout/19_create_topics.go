package fanout

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// maxPartitions bounds the partitions of one topic: each is a directory and open files.
const maxPartitions = 10000

// handleCreateTopics makes topics.
//
// Behaviour:
//   - The number of partitions is the request's, or --partitions for -1. The replication factor must be -1 or 1.
//   - Settings that exist here can be given, within their limits; others are refused by name.
//   - What is above --max-partitions, or needs more open files than there may be, is refused (POLICY_VIOLATION).
//   - The answer comes when the directories are on the disk. Until then the next start removes what there is of them.
//   - A topic of that name that is being deleted is deleted first.
//
// Versions: 0 to 4; from 1 on with validate_only and error messages.
func (b *Broker) handleCreateTopics(c *client, req *kmsg.CreateTopicsRequest) {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	if req.ValidateOnly {
		b.checkNewTopics(req, resp)
		b.reply(c, resp)
		return
	}
	names := make([]string, 0, len(req.Topics))
	for i := range req.Topics {
		names = append(names, req.Topics[i].Topic)
	}
	end := c.errand()
	b.makeTopics(validNames(names), func(*dirJob) []newTopic { return b.checkNewTopics(req, resp) }, func(failed map[string]error) {
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

// validNames are the names that a topic could have: nobody else can be concerned with the others.
func validNames(names []string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return wire.TopicNameError([]byte(name)) != nil })
}

// checkNewTopics answers for topics that cannot be made, and says how the others are to be.
func (b *Broker) checkNewTopics(req *kmsg.CreateTopicsRequest, resp *kmsg.CreateTopicsResponse) (wanted []newTopic) {
	seen := make(map[string]bool)
	for i := range req.Topics {
		want := &req.Topics[i]
		r := kmsg.NewCreateTopicsResponseTopic()
		r.Topic = want.Topic
		config, code, message := b.checkNewTopic(want, seen)
		if code == 0 {
			code, message = b.takeRoom(b.partitionsFor(want), req.ValidateOnly)
		}
		if r.ErrorCode = code; message != "" {
			r.ErrorMessage = kmsg.StringPtr(message)
		}
		seen[want.Topic] = true
		resp.Topics = append(resp.Topics, r)
		if code == 0 {
			wanted = append(wanted, newTopic{name: want.Topic, partitions: b.partitionsFor(want), config: config})
		}
	}
	return wanted
}

// takeRoom takes room for n partitions, or only looks whether there is some.
func (b *Broker) takeRoom(n int, onlyLook bool) (code int16, message string) {
	if err := b.topics.room.take(n); err != nil {
		return wire.CodePolicyViolation, err.Error()
	}
	if onlyLook {
		b.topics.room.give(n)
	}
	return 0, ""
}

func (b *Broker) partitionsFor(want *kmsg.CreateTopicsRequestTopic) int {
	switch {
	case len(want.ReplicaAssignment) > 0:
		return len(want.ReplicaAssignment)
	case want.NumPartitions == -1:
		return b.config.Partitions
	}
	return int(want.NumPartitions)
}

// checkNewTopic says what is wrong with a topic that is to be made, or derives its configuration.
func (b *Broker) checkNewTopic(want *kmsg.CreateTopicsRequestTopic, seen map[string]bool) (*topicConfig, int16, string) {
	if code, message := b.checkNewName(want.Topic, seen); code != 0 {
		return nil, code, message
	}
	if code, message := b.checkPartitionsOf(want); code != 0 {
		return nil, code, message
	}
	set := make(map[string]string, len(want.Configs))
	for _, c := range want.Configs {
		if _, twice := set[c.Name]; twice || c.Value == nil {
			return nil, wire.CodeInvalidConfig, fmt.Sprintf("%s needs one value", c.Name)
		}
		set[c.Name] = *c.Value
	}
	config, err := topicConfigOf(b.topics.defaults, newOverrides(set), b.config.MaxRequestBytes)
	if err != nil {
		return nil, wire.CodeInvalidConfig, err.Error()
	}
	return config, 0, ""
}

func (b *Broker) checkNewName(name string, seen map[string]bool) (code int16, message string) {
	if err := wire.TopicNameError([]byte(name)); err != nil {
		return wire.CodeInvalidTopic, err.Error()
	}
	if name == offsetsTopic {
		return wire.CodeInvalidTopic, fmt.Sprintf("topic %s is the server's own, and made when the first group needs it", name)
	}
	if b.topics.byName[name] != nil {
		return wire.CodeTopicAlreadyExists, fmt.Sprintf("topic %s exists", name)
	}
	if seen[name] {
		return wire.CodeInvalidRequest, fmt.Sprintf("topic %s is in the request twice", name)
	}
	return 0, ""
}

func (b *Broker) checkPartitionsOf(want *kmsg.CreateTopicsRequestTopic) (code int16, message string) {
	if n := b.partitionsFor(want); n < 1 || n > maxPartitions {
		return wire.CodeInvalidPartitions, fmt.Sprintf("%d partitions were asked for, allowed are 1 to %d", n, maxPartitions)
	}
	if want.ReplicationFactor != -1 && want.ReplicationFactor != 1 && len(want.ReplicaAssignment) == 0 {
		return wire.CodeInvalidReplicationFactor,
			fmt.Sprintf("replication factor %d was asked for, this is one node: use 1 or -1", want.ReplicationFactor)
	}
	for _, a := range want.ReplicaAssignment {
		if len(a.Replicas) != 1 || a.Replicas[0] != b.topics.meta.nodeID || int(a.Partition) >= len(want.ReplicaAssignment) || a.Partition < 0 {
			return wire.CodeInvalidReplicaAssignment,
				fmt.Sprintf("partition %d is assigned to %v, this is node %d alone", a.Partition, a.Replicas, b.topics.meta.nodeID)
		}
	}
	return 0, ""
}
