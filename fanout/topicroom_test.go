package fanout

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/wire"
)

// tryCreateMany creates topics in one request, and returns each one's error code.
func (c *dialed) tryCreateMany(partitions int32, validateOnly bool, names ...string) []kmsg.CreateTopicsResponseTopic {
	c.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.ValidateOnly = 4, validateOnly
	for _, name := range names {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, 1
		req.Topics = append(req.Topics, topic)
	}
	return c.ask(req).(*kmsg.CreateTopicsResponse).Topics
}

func (c *dialed) addPartitions(topic string, to int32) kmsg.CreatePartitionsResponseTopic {
	c.t.Helper()
	req := kmsg.NewPtrCreatePartitionsRequest()
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = topic, to
	req.Topics = append(req.Topics, t)
	return c.ask(req).(*kmsg.CreatePartitionsResponse).Topics[0]
}

// The partitions of all topics together have a limit, however they come to be, and a topic that goes makes room.
func TestPartitionsOfAllTopicsHaveOneLimit(t *testing.T) {
	dir := t.TempDir()
	s := start(t, func(c *Config) { c.MaxPartitions, c.DataDir = 10, dir })
	c := s.dial()
	for _, validateOnly := range []bool{true, false} {
		got := c.tryCreateMany(4, validateOnly, "a", "b", "c", "d")
		for i, want := range []int16{0, 0, wire.CodePolicyViolation, wire.CodePolicyViolation} {
			if validateOnly {
				want = 0 // each for itself
			}
			if got[i].ErrorCode != want {
				t.Errorf("validate only %v, topic %d: error %d, want %d", validateOnly, i, got[i].ErrorCode, want)
			}
			if want != 0 && !strings.Contains(*got[i].ErrorMessage, "raise --max-partitions") {
				t.Errorf("the message does not name the remedy: %s", *got[i].ErrorMessage)
			}
		}
	}
	if r := c.addPartitions("a", 7); r.ErrorCode != wire.CodePolicyViolation {
		t.Errorf("three more: error %d", r.ErrorCode)
	}
	if r := c.addPartitions("a", 6); r.ErrorCode != 0 {
		t.Errorf("two more: error %d", r.ErrorCode)
	}
	if st := s.stats(); st.Budgets["partition"].Used != 10 || st.Partitions != 10 {
		t.Errorf("%d of the budget are taken by %d partitions", st.Budgets["partition"].Used, st.Partitions)
	}
	c.commit("readers", "a", 0) // the server's own topic is always possible
	c.remove("b")
	s.await("room", func(st Stats) bool { return st.Budgets["partition"].Used == 6 })
	c.create("c", 4)
	c.close()
	s.stop()

	// What is there is served though the limit is lower now.
	again := start(t, func(c *Config) { c.MaxPartitions, c.DataDir = 5, dir })
	c = again.dial()
	c.publish(&shadow{topic: "c"}, makeBatch(1, 1, 10, 0))
	if got := c.tryCreateMany(1, false, "e"); got[0].ErrorCode != wire.CodePolicyViolation {
		t.Errorf("one more: error %d", got[0].ErrorCode)
	}
}

// Asking for topics creates some, and not as many as anybody can think of. The others have an error, existing ones none.
func TestAskingForTopicsCreatesALimitedNumber(t *testing.T) {
	s := start(t, func(c *Config) { c.AutoCreateTopicLimit = 5 })
	c := s.dial()
	c.create("there", 1)
	ask := func(names ...string) (codes []int16) {
		req := kmsg.NewPtrMetadataRequest()
		req.Version, req.AllowAutoTopicCreation = 8, true
		for _, name := range names {
			req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
		}
		for _, topic := range c.ask(req).(*kmsg.MetadataResponse).Topics {
			codes = append(codes, topic.ErrorCode)
		}
		return codes
	}
	var names []string
	for i := range 8 {
		names = append(names, fmt.Sprint("asked-", i))
	}
	want := fmt.Sprint([]int16{0, 0, 0, 0, 44, 44, 44, 44, 0, 17})
	for range 2 {
		if got := fmt.Sprint(ask(append(names, "there", "no/name")...)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	c.create("by-an-admin", 1)
	if st := s.stats(); st.Topics != 6 {
		t.Errorf("%d topics, want 6", st.Topics)
	}
	if !strings.Contains(s.log.String(), "raise --auto-create-limit") {
		t.Errorf("the log does not name the remedy:\n%s", s.log)
	}
}

// Topics are refused while descriptors are left for connections, pipes and segments.
func TestTopicsAreRefusedBeforeDescriptorsRunOut(t *testing.T) {
	s := start(t, func(c *Config) { c.Machine.OpenFilesLimit = 300 })
	c := s.dial()
	made := 0
	for ; ; made++ {
		got := c.tryCreateMany(5, false, fmt.Sprint("feed-", made))
		if got[0].ErrorCode == 0 && made < 100 {
			continue
		}
		if got[0].ErrorCode != wire.CodePolicyViolation || !strings.Contains(*got[0].ErrorMessage, "ulimit -n") {
			t.Errorf("after %d topics: error %d", made, got[0].ErrorCode)
		}
		break
	}
	st := s.stats()
	files := st.Budgets["descriptor of files"]
	if made < 5 || files.Used != int64(made)*5*catalog.FilesEach || files.Used > files.Limit || files.Limit >= 300-spareDescriptors {
		t.Errorf("%d topics, descriptors: %+v", made, files)
	}
	s.dial().alive() // connections have their own
}

// A log of hundreds of segments takes no more descriptors than one of few, while it is written to, read, and opened again.
func TestLogOfManySegmentsTakesFewDescriptors(t *testing.T) {
	const batches, limit = 150, 200
	dir := t.TempDir()
	log := &shadow{topic: "feed"}
	var most int
	for life := range 2 {
		s := start(t, func(c *Config) { c.DataDir, c.Log.SegmentBytes, c.Machine.OpenFilesLimit = dir, 1<<14, limit })
		c := s.dial()
		if life == 0 {
			c.create("feed", 1)
			for i := range batches {
				c.publish(log, makeBatch(uint64(i+1), 1, 9000, 0))
			}
		}
		for range 2 {
			if err := c.readAll(11, []*shadow{log}); err != nil {
				t.Fatal(err)
			}
		}
		settled := eventually(func() bool { // segments are finished in the background
			n := 0
			for _, target := range held(t).descriptors {
				if strings.HasPrefix(target, dir) {
					n++
				}
			}
			most = n
			return n <= finishedFiles(&s.broker.config)+2*catalog.FilesEach
		})
		if !settled {
			t.Errorf("life %d: %d files of %d segments are open, allowed are %d", life, most, batches, finishedFiles(&s.broker.config))
		}
		c.close()
		s.stop()
	}
}
