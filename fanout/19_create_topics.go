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
//   - Configuration entries that would change nothing here are accepted; others are refused by name.
//   - The answer comes when the directories exist.
//
// Versions: 0 to 4; from 1 on with validate_only and error messages.
func (b *Broker) handleCreateTopics(c *conn, req *kmsg.CreateTopicsRequest) {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	byPartitions := make(map[int][]string)
	seen := make(map[string]bool)
	for i := range req.Topics {
		want := &req.Topics[i]
		r := kmsg.NewCreateTopicsResponseTopic()
		r.Topic = want.Topic
		code, message := b.checkNewTopic(want, seen)
		if r.ErrorCode = code; message != "" {
			r.ErrorMessage = kmsg.StringPtr(message)
		}
		seen[want.Topic] = true
		resp.Topics = append(resp.Topics, r)
		if code == 0 && !req.ValidateOnly {
			n := b.partitionsFor(want)
			byPartitions[n] = append(byPartitions[n], want.Topic)
		}
	}
	left := len(byPartitions)
	if left == 0 {
		b.reply(c, resp)
		return
	}
	slot, generation := c.slot, c.generation
	for n, names := range byPartitions {
		b.makeTopics(names, n, func(failed map[string]error) {
			markFailed(resp, failed)
			if left--; left > 0 {
				return
			}
			if c := b.again(slot, generation); c != nil {
				b.reply(c, resp)
			}
		})
	}
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

func (b *Broker) checkNewTopic(want *kmsg.CreateTopicsRequestTopic, seen map[string]bool) (code int16, message string) {
	if err := wire.TopicNameError([]byte(want.Topic)); err != nil {
		return wire.CodeInvalidTopic, err.Error()
	}
	if b.topics.byName[want.Topic] != nil || b.topics.making[want.Topic] {
		return wire.CodeTopicAlreadyExists, fmt.Sprintf("topic %s exists", want.Topic)
	}
	if seen[want.Topic] {
		return wire.CodeInvalidRequest, fmt.Sprintf("topic %s is in the request twice", want.Topic)
	}
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
	return checkTopicConfigs(want.Configs)
}

// harmlessConfigs are settings of a topic, and the values at which they say what is the case here anyway.
var harmlessConfigs = map[string]string{
	"cleanup.policy":         "delete",
	"compression.type":       "producer",
	"min.insync.replicas":    "1",
	"message.timestamp.type": "CreateTime",
}

func checkTopicConfigs(configs []kmsg.CreateTopicsRequestTopicConfig) (code int16, message string) {
	for _, c := range configs {
		value := "null"
		if c.Value != nil {
			value = *c.Value
		}
		if harmless, ok := harmlessConfigs[c.Name]; !ok || harmless != value {
			return wire.CodeInvalidConfig, fmt.Sprintf("%s=%s is not supported here", c.Name, value)
		}
	}
	return 0, ""
}

// makeTopics makes topics in the background and calls done on the loop, with the names that failed. The names must be
// valid, and neither exist nor be in the making.
func (b *Broker) makeTopics(names []string, partitions int, done func(failed map[string]error)) {
	for _, name := range names {
		b.topics.making[name] = true
	}
	dir, options := b.topics.dir, b.topics.options
	b.background(func() func() {
		made, failed := make([]*topic, 0, len(names)), map[string]error{}
		for _, name := range names {
			tp, err := makeTopic(dir, name, partitions, options)
			if err != nil {
				failed[name] = err
				continue
			}
			made = append(made, tp)
		}
		return func() {
			for _, name := range names {
				delete(b.topics.making, name)
			}
			for _, tp := range made {
				b.topics.byName[tp.name] = tp
				b.log.Info("topic created", "topic", tp.name, "partitions", len(tp.partitions))
			}
			for name, err := range failed {
				b.log.Error("a topic could not be created", "topic", name, "error", err)
			}
			done(failed)
		}
	})
}
