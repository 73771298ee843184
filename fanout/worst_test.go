package fanout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"oneplusn/fanout/wire"
)

// worstYardsticks is how much processor time one request may take of the loop's thread, in yardsticks: the worst take 10 to 15.
// A cost that is quadratic in the request's size is hundreds of them.
const worstYardsticks = 40

// yardstick is the processor time of work similar to a request's, linear in its size, on this machine under its present
// load: a request of 45,000 names is decoded, and each looked up.
func (s *server) yardstick() time.Duration {
	body := worstCreate(true, 1).AppendTo(nil)
	names, least := make(map[string]bool), time.Hour
	for range 5 {
		before := s.loopTime()
		s.onLoop(func(*Broker) {
			req := kmsg.NewPtrCreateTopicsRequest()
			req.Version = 4
			if err := req.ReadFrom(body); err != nil {
				s.t.Error(err)
			}
			for i := range req.Topics {
				names[req.Topics[i].Topic] = true
			}
		})
		least = min(least, s.loopTime()-before)
	}
	return least
}

// loopTime is the processor time that the loop's thread has taken.
func (s *server) loopTime() (total time.Duration) {
	s.onLoop(func(*Broker) {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
			s.t.Error(err)
		}
		total = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	})
	return total
}

// wide is a server with a topic of a thousand partitions, and a group with as many offsets and long texts.
func wide(t *testing.T) (*server, *dialed) {
	s := start(t, func(c *Config) { c.MaxPartitions = wire.MaxPartitions }) // so that a request may name as many
	c := s.dial()
	c.create("wide", 1000)
	c.create("feed", 1)
	c.publish(&shadow{topic: "feed"}, makeBatch(1, 20, 100, 0))
	text := strings.Repeat("m", 2000)
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.Generation = 7, "readers", -1
	for from := 0; from < 1000; from += 250 {
		topic := kmsg.NewOffsetCommitRequestTopic()
		topic.Topic = "wide"
		for i := range 250 {
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Metadata = int32(from+i), &text
			topic.Partitions = append(topic.Partitions, p)
		}
		req.Topics = []kmsg.OffsetCommitRequestTopic{topic}
		c.ask(req)
	}
	return s, c
}

// worstRequests are, for each kind, the requests with the most work for their bytes. n numbers the tries.
var worstRequests = []struct {
	name string
	make func(n int) kmsg.Request
}{
	{"OffsetFetch of everything", func(int) kmsg.Request {
		r := kmsg.NewPtrOffsetFetchRequest()
		r.Version, r.Group = 5, "readers"
		return r
	}},
	{"OffsetFetch, many partitions", func(int) kmsg.Request {
		r := kmsg.NewPtrOffsetFetchRequest()
		r.Version, r.Group = 5, "readers"
		topic := kmsg.NewOffsetFetchRequestTopic()
		topic.Topic = "wide"
		for i := range int32(250_000) {
			topic.Partitions = append(topic.Partitions, i)
		}
		r.Topics = append(r.Topics, topic)
		return r
	}},
	{"DescribeGroups, unknown", func(int) kmsg.Request {
		r := kmsg.NewPtrDescribeGroupsRequest()
		r.Version, r.Groups = 4, numbered("g", 110_000)
		return r
	}},
	{"DeleteGroups, unknown", func(int) kmsg.Request {
		r := kmsg.NewPtrDeleteGroupsRequest()
		r.Version, r.Groups = 1, numbered("g", 110_000)
		return r
	}},
	{"DeleteTopics, unknown", func(int) kmsg.Request {
		r := kmsg.NewPtrDeleteTopicsRequest()
		r.Version, r.TopicNames = 3, numbered("x", 110_000)
		return r
	}},
	{"Metadata, unknown", func(int) kmsg.Request {
		r := kmsg.NewPtrMetadataRequest()
		r.Version = 4
		for _, name := range numbered("u", 110_000) {
			r.Topics = append(r.Topics, kmsg.MetadataRequestTopic{Topic: &name})
		}
		return r
	}},
	{"Metadata, to be created", func(n int) kmsg.Request {
		r := kmsg.NewPtrMetadataRequest()
		r.Version, r.AllowAutoTopicCreation = 4, true
		for _, name := range numbered("u", 110_000) {
			r.Topics = append(r.Topics, kmsg.MetadataRequestTopic{Topic: &name})
		}
		return r
	}},
	{"DescribeConfigs, unknown", func(int) kmsg.Request {
		r := kmsg.NewPtrDescribeConfigsRequest()
		r.Version = 3
		for _, name := range numbered("x", 75_000) {
			r.Resources = append(r.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: 2, ResourceName: name})
		}
		return r
	}},
	{"DescribeLogDirs, repeated", func(int) kmsg.Request {
		r := kmsg.NewPtrDescribeLogDirsRequest()
		r.Version = 1
		for i := range 60_000 {
			r.Topics = append(r.Topics, kmsg.DescribeLogDirsRequestTopic{Topic: "wide", Partitions: []int32{int32(i)}})
		}
		return r
	}},
	{"ListOffsets by time", func(int) kmsg.Request {
		r := kmsg.NewPtrListOffsetsRequest()
		r.Version, r.ReplicaID = 5, -1
		topic := kmsg.ListOffsetsRequestTopic{Topic: "wide"}
		for i := range int32(64_000) {
			topic.Partitions = append(topic.Partitions,
				kmsg.ListOffsetsRequestTopicPartition{Partition: i, Timestamp: 1000, CurrentLeaderEpoch: -1})
		}
		r.Topics = append(r.Topics, topic)
		return r
	}},
	{"OffsetForLeaderEpoch", func(int) kmsg.Request {
		r := kmsg.NewPtrOffsetForLeaderEpochRequest()
		r.Version = 3
		topic := kmsg.OffsetForLeaderEpochRequestTopic{Topic: "wide"}
		for i := range int32(85_000) {
			topic.Partitions = append(topic.Partitions, kmsg.OffsetForLeaderEpochRequestTopicPartition{Partition: i, CurrentLeaderEpoch: -1})
		}
		r.Topics = append(r.Topics, topic)
		return r
	}},
	{"CreateTopics, only looked at", func(int) kmsg.Request { return worstCreate(true, 1) }},
	{"CreateTopics, of no partition", func(int) kmsg.Request { return worstCreate(false, 0) }},
	{"CreatePartitions, unknown", func(int) kmsg.Request {
		r := kmsg.NewPtrCreatePartitionsRequest()
		for _, name := range numbered("x", 60_000) {
			r.Topics = append(r.Topics, kmsg.CreatePartitionsRequestTopic{Topic: name, Count: 3})
		}
		return r
	}},
	{"IncrementalAlterConfigs, only looked at", func(int) kmsg.Request {
		r := kmsg.NewPtrIncrementalAlterConfigsRequest()
		r.ValidateOnly = true
		for range 30_000 {
			r.Resources = append(r.Resources, kmsg.IncrementalAlterConfigsRequestResource{ResourceType: 2, ResourceName: "wide",
				Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "retention.ms", Value: kmsg.StringPtr("1000")}}})
		}
		return r
	}},
	{"DeleteRecords, repeated", func(int) kmsg.Request {
		r := kmsg.NewPtrDeleteRecordsRequest()
		r.Version = 1
		topic := kmsg.DeleteRecordsRequestTopic{Topic: "feed"}
		for range 85_000 {
			topic.Partitions = append(topic.Partitions, kmsg.DeleteRecordsRequestTopicPartition{Offset: 1})
		}
		r.Topics = append(r.Topics, topic)
		return r
	}},
	{"OffsetCommit, many partitions", func(int) kmsg.Request {
		r := kmsg.NewPtrOffsetCommitRequest()
		r.Version, r.Group, r.Generation = 7, "others", -1
		topic := kmsg.OffsetCommitRequestTopic{Topic: "wide"}
		for i := range int32(55_000) {
			topic.Partitions = append(topic.Partitions, kmsg.OffsetCommitRequestTopicPartition{Partition: i % 1000, Metadata: kmsg.StringPtr("")})
		}
		r.Topics = append(r.Topics, topic)
		return r
	}},
	{"LeaveGroup", func(int) kmsg.Request {
		r := kmsg.NewPtrLeaveGroupRequest()
		r.Version, r.Group = 3, "readers"
		for range 200_000 {
			r.Members = append(r.Members, kmsg.LeaveGroupRequestMember{MemberID: "x"})
		}
		return r
	}},
	{"Fetch, repeated", func(int) kmsg.Request {
		r := kmsg.NewPtrFetchRequest()
		r.Version, r.ReplicaID, r.MinBytes, r.MaxBytes, r.SessionEpoch = 11, -1, 1, 50<<20, -1
		topic := kmsg.FetchRequestTopic{Topic: "feed"}
		for range 65_000 {
			topic.Partitions = append(topic.Partitions,
				kmsg.FetchRequestTopicPartition{CurrentLeaderEpoch: -1, LogStartOffset: -1, PartitionMaxBytes: 1 << 20})
		}
		r.Topics = append(r.Topics, topic)
		return r
	}},
	{"Fetch, all partitions of a session", func(int) kmsg.Request {
		r := kmsg.NewPtrFetchRequest()
		r.Version, r.ReplicaID, r.MinBytes, r.MaxBytes = 11, -1, 1, 50<<20
		topic := kmsg.FetchRequestTopic{Topic: "wide"}
		for i := range int32(65_000) {
			topic.Partitions = append(topic.Partitions,
				kmsg.FetchRequestTopicPartition{Partition: i, CurrentLeaderEpoch: -1, LogStartOffset: -1, PartitionMaxBytes: 1 << 20})
		}
		r.Topics = append(r.Topics, topic)
		return r
	}},
	{"Produce, repeated", func(int) kmsg.Request {
		r := produceRequest(7, 1, "feed", map[int32][]byte{0: makeBatch(1, 1, 1, 0)})
		for range 65_000 {
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, r.Topics[0].Partitions[0])
		}
		return r
	}},
	{"Produce of nothing", func(int) kmsg.Request {
		r := produceRequest(7, 1, "wide", map[int32][]byte{0: {}})
		for i := range int32(65_000) {
			p := r.Topics[0].Partitions[0]
			p.Partition = i
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, p)
		}
		return r
	}},
}

func numbered(prefix string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint(prefix, i))
	}
	return list
}

func worstCreate(look bool, partitions int32) kmsg.Request {
	r := kmsg.NewPtrCreateTopicsRequest()
	r.Version, r.ValidateOnly = 4, look
	for _, name := range numbered("c", 45_000) {
		r.Topics = append(r.Topics, kmsg.CreateTopicsRequestTopic{Topic: name, NumPartitions: partitions, ReplicationFactor: 1})
	}
	return r
}

// Whatever a client asks for in one request, others wait a moment.
func TestWorstRequestOfEachKindKeepsTheTurnShort(t *testing.T) {
	s, c := wide(t)
	one := s.yardstick()
	worstTurn := worstYardsticks * one
	t.Logf("a yardstick is %v", one)
	for _, worst := range worstRequests {
		least := time.Hour
		for n := 0; n < 3 && least > worstTurn; n++ {
			req := worst.make(n)
			frame := c.frame(req)
			before := s.loopTime()
			c.write(frame)
			answer := len(c.frameBytes())
			least = min(least, s.loopTime()-before)
			t.Logf("%-40s %9d bytes, answered with %9d: %v of the loop, %.1f yardsticks", worst.name, len(frame), answer, least, float64(least)/float64(one))
		}
		if least > worstTurn {
			t.Errorf("%s takes %v of the loop's time, the limit is %v", worst.name, least, worstTurn)
		}
	}
	if long := strings.Count(s.log.String(), "closed"); long > 0 {
		t.Errorf("connections were closed:\n%s", s.log)
	}
}
