package fanout

import (
	"fmt"

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
//   - The answer comes when the directories exist.
//
// Versions: 0 to 4; from 1 on with validate_only and error messages.
func (b *Broker) handleCreateTopics(c *conn, req *kmsg.CreateTopicsRequest) {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	var wanted []newTopic
	seen := make(map[string]bool)
	for i := range req.Topics {
		want := &req.Topics[i]
		r := kmsg.NewCreateTopicsResponseTopic()
		r.Topic = want.Topic
		config, code, message := b.checkNewTopic(want, seen)
		if r.ErrorCode = code; message != "" {
			r.ErrorMessage = kmsg.StringPtr(message)
		}
		seen[want.Topic] = true
		resp.Topics = append(resp.Topics, r)
		if code == 0 && !req.ValidateOnly {
			wanted = append(wanted, newTopic{name: want.Topic, partitions: b.partitionsFor(want), config: config})
		}
	}
	if len(wanted) == 0 {
		b.reply(c, resp)
		return
	}
	slot, generation := c.slot, c.generation
	b.makeLogs(wanted, func(failed map[string]error) {
		markFailed(resp, failed)
		if c := b.again(slot, generation); c != nil {
			b.reply(c, resp)
		}
	})
}

func markFailed(resp *kmsg.CreateTopicsResponse, failed map[string]error) {
	for i := range resp.Topics {
		if err := failed[resp.Topics[i].Topic]; err != nil {
			resp.Topics[i].ErrorCode = wire.CodeKafkaStorageError
			resp.Topics[i].ErrorMessage = kmsg.StringPtr(err.Error())
		}
	}
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
	if code, message := b.checkNewPartitions(want); code != 0 {
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
	if b.topics.byName[name] != nil || b.topics.making[name] {
		return wire.CodeTopicAlreadyExists, fmt.Sprintf("topic %s exists", name)
	}
	if seen[name] {
		return wire.CodeInvalidRequest, fmt.Sprintf("topic %s is in the request twice", name)
	}
	return 0, ""
}

func (b *Broker) checkNewPartitions(want *kmsg.CreateTopicsRequestTopic) (code int16, message string) {
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
