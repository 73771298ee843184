package fanout

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/produce"
)

// Which topics are meant by no list and by an empty one has changed once, and old clients go by the old rule.
func TestMetadataOfAllTopicsOfNoneAndOfSome(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("a", 2)
	c.create("b", 1)
	some := []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr("b")}}
	for _, row := range []struct {
		version int16
		topics  []kmsg.MetadataRequestTopic
		want    []string
	}{
		{0, []kmsg.MetadataRequestTopic{}, []string{"a", "b"}},
		{0, some, []string{"b"}},
		{1, nil, []string{"a", "b"}},
		{1, []kmsg.MetadataRequestTopic{}, nil},
		{8, nil, []string{"a", "b"}},
		{8, []kmsg.MetadataRequestTopic{}, nil},
		{8, some, []string{"b"}},
	} {
		req := kmsg.NewPtrMetadataRequest()
		req.Version, req.Topics = row.version, row.topics
		resp := c.ask(req).(*kmsg.MetadataResponse)
		var got []string
		for _, topic := range resp.Topics {
			got = append(got, *topic.Topic)
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("v%d, %d asked for: got %v, want %v", row.version, len(row.topics), got, row.want)
		}
		if len(resp.Brokers) != 1 || row.version > 0 && resp.ControllerID != resp.Brokers[0].NodeID || resp.Brokers[0].Port == 0 {
			t.Errorf("v%d: brokers %+v, controller %d", row.version, resp.Brokers, resp.ControllerID)
		}
	}
}

// Several clients read committed by default: without a last stable offset they would read nothing.
func TestBothIsolationLevelsReadTheSame(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	c.publish(log, makeBatch(1, 3, 100, 0))
	for _, version := range []int16{4, 5, 11} {
		for isolation := range int8(2) {
			req := fetchRequest(version, wanted{topic: "feed"})
			req.IsolationLevel = isolation
			p := c.ask(req).(*kmsg.FetchResponse).Topics[0].Partitions[0]
			if p.LastStableOffset != 3 || p.HighWatermark != 3 || len(p.RecordBatches) != len(log.batches[0]) || len(p.AbortedTransactions) != 0 {
				t.Errorf("v%d, isolation %d: last stable offset %d, high watermark %d, %d bytes", version, isolation,
					p.LastStableOffset, p.HighWatermark, len(p.RecordBatches))
			}
			list := kmsg.NewPtrListOffsetsRequest()
			list.Version, list.IsolationLevel = 5, isolation
			list.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "feed",
				Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: latestTimestamp, CurrentLeaderEpoch: -1}}}}
			if o := c.ask(list).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]; o.Offset != 3 || o.ErrorCode != 0 {
				t.Errorf("isolation %d: the end is at %d, error %d", isolation, o.Offset, o.ErrorCode)
			}
		}
	}
}

func TestClientsLookForCoordinatorsOfGroupsAndLearnThatThereAreNoTransactions(t *testing.T) {
	s := start(t, func(c *Config) { c.Advertise = "broker.example:9092" })
	c := s.dial()
	for version := range int16(3) {
		for kind, want := range []int16{0, 53, 42} {
			if version == 0 && kind > 0 {
				continue // it knows of groups only
			}
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.Version, req.CoordinatorKey, req.CoordinatorType = version, "g", int8(kind)
			resp := c.ask(req).(*kmsg.FindCoordinatorResponse)
			found := resp.NodeID == 1 && resp.Host == "broker.example" && resp.Port == 9092
			if resp.ErrorCode != want || found != (want == 0) {
				t.Errorf("v%d, kind %d: %+v, want error %d", version, kind, resp, want)
			}
			if version > 0 && kind == 1 && (resp.ErrorMessage == nil || *resp.ErrorMessage != produce.NoTransactions) {
				t.Errorf("v%d: the reason is not told: %+v", version, resp)
			}
		}
	}
}

// However many clients ask for all topics, all answers share one block of memory, and each has the topics of its time.
func TestClientsThatAskForAllTopicsShareOneAnswer(t *testing.T) {
	s := start(t, func(c *Config) { c.ResponseMemoryBytes, c.SendBufferBytes = 1<<20, 16<<10 })
	admin := s.dial()
	for i := range 8 {
		admin.create(fmt.Sprint("feed-", i), 250) // 2,000 partitions, 84 KB
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Version, req.Topics = 8, nil
	var clients []*dialed
	for range 40 {
		c := s.dialSlow()
		c.send(req)
		clients = append(clients, c)
	}
	st := s.await("all to be asked", func(st Stats) bool { return st.Requests["Metadata"] == 40 })
	if st.ResponseMemory > 256<<10 {
		t.Errorf("%d bytes of response memory for one answer", st.ResponseMemory)
	}
	admin.create("more", 1)
	for i, c := range clients {
		if n := len(c.receive(req, c.next).(*kmsg.MetadataResponse).Topics); n != 8 {
			t.Errorf("client %d: %d topics, want 8", i, n)
		}
	}
	for _, c := range append(clients, admin) {
		if n := len(c.ask(req).(*kmsg.MetadataResponse).Topics); n != 9 {
			t.Errorf("%d topics, want 9", n)
		}
	}
	s.await("the memory to come back", func(st Stats) bool { return st.ResponseMemory == 0 })
}
