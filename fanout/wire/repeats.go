package wire

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// dropRepeats removes repeated names from a request, like Apache Kafka, which treats them as sets. Without it a request of a
// mebibyte that asks a quarter of a million times for one committed offset, or for the configuration of one topic, would be
// answered with gigabytes. Requests keep repeats that are refused, or applied one after the other.
func dropRepeats(req kmsg.Request) {
	switch r := req.(type) {
	case *kmsg.MetadataRequest:
		r.Topics = distinct(r.Topics, func(t *kmsg.MetadataRequestTopic) string {
			if t.Topic == nil {
				return ""
			}
			return *t.Topic
		})
	case *kmsg.ListOffsetsRequest:
		r.Topics = distinctPartitions(r.Topics,
			func(t *kmsg.ListOffsetsRequestTopic) (string, *[]kmsg.ListOffsetsRequestTopicPartition) {
				return t.Topic, &t.Partitions
			},
			func(p *kmsg.ListOffsetsRequestTopicPartition) int32 { return p.Partition })
	case *kmsg.OffsetFetchRequest:
		r.Topics = distinctPartitions(r.Topics,
			func(t *kmsg.OffsetFetchRequestTopic) (string, *[]int32) { return t.Topic, &t.Partitions }, itself)
	case *kmsg.DescribeLogDirsRequest:
		r.Topics = distinctPartitions(r.Topics,
			func(t *kmsg.DescribeLogDirsRequestTopic) (string, *[]int32) { return t.Topic, &t.Partitions }, itself)
	case *kmsg.OffsetForLeaderEpochRequest:
		r.Topics = distinctPartitions(r.Topics,
			func(t *kmsg.OffsetForLeaderEpochRequestTopic) (string, *[]kmsg.OffsetForLeaderEpochRequestTopicPartition) {
				return t.Topic, &t.Partitions
			},
			func(p *kmsg.OffsetForLeaderEpochRequestTopicPartition) int32 { return p.Partition })
	case *kmsg.DescribeGroupsRequest:
		r.Groups = distinct(r.Groups, itself)
	case *kmsg.DeleteGroupsRequest:
		r.Groups = distinct(r.Groups, itself)
	case *kmsg.DeleteTopicsRequest:
		r.TopicNames = distinct(r.TopicNames, itself)
	case *kmsg.DescribeConfigsRequest:
		r.Resources = distinct(r.Resources, func(c *kmsg.DescribeConfigsRequestResource) configResource {
			return configResource{c.ResourceType, c.ResourceName}
		})
		for i := range r.Resources {
			r.Resources[i].ConfigNames = distinct(r.Resources[i].ConfigNames, itself)
		}
	}
}

type configResource struct {
	kind kmsg.ConfigResourceType
	name string
}

func itself[T any](v *T) T { return *v }

// distinct keeps the first of the elements with the same key, in their order. Null stays null.
func distinct[T any, K comparable](list []T, key func(*T) K) []T {
	if len(list) < 2 {
		return list
	}
	seen := make(map[K]struct{}, len(list))
	return slices.DeleteFunc(list, func(v T) bool {
		before := len(seen)
		seen[key(&v)] = struct{}{}
		return len(seen) == before
	})
}

// distinctPartitions keeps the first of the partitions with the same topic and number. A topic with only repeated partitions
// is dropped; one without any partition stays once.
func distinctPartitions[T, P any](topics []T, open func(*T) (name string, partitions *[]P), number func(*P) int32) []T {
	if len(topics) == 0 {
		return topics
	}
	seen := make(map[string]map[int32]struct{})
	kept := topics[:0]
	for i := range topics {
		t := topics[i]
		name, partitions := open(&t)
		of, again := seen[name]
		if !again {
			of = make(map[int32]struct{}, len(*partitions))
			seen[name] = of
		}
		*partitions = slices.DeleteFunc(*partitions, func(p P) bool {
			before := len(of)
			of[number(&p)] = struct{}{}
			return len(of) == before
		})
		if !again || len(*partitions) > 0 {
			kept = append(kept, t)
		}
	}
	clear(topics[len(kept):])
	return kept
}
