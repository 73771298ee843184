package fanout

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/wire"
)

// adminRequest is a request about a topic that others change at the same time, and the codes that it may be answered with.
type adminRequest struct {
	name    string
	request func(topic string) kmsg.Request
	codes   []int16
}

var adminRequests = []adminRequest{
	{"create", func(topic string) kmsg.Request {
		req := kmsg.NewPtrCreateTopicsRequest()
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = topic, 2, 1
		req.Version, req.Topics = 4, append(req.Topics, t)
		return req
	}, []int16{0, wire.CodeTopicAlreadyExists}},
	{"delete", func(topic string) kmsg.Request {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.Version, req.TopicNames = 3, []string{topic}
		return req
	}, []int16{0, wire.CodeUnknownTopicOrPartition}},
	{"delete records", func(topic string) kmsg.Request {
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.Version = 1
		req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: 3}}}}
		return req
	}, []int16{0, wire.CodeUnknownTopicOrPartition, wire.CodeOffsetOutOfRange}},
	{"create partitions", func(topic string) kmsg.Request {
		req := kmsg.NewPtrCreatePartitionsRequest()
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = topic, 4
		req.Version, req.Topics = 1, append(req.Topics, t)
		return req
	}, []int16{0, wire.CodeUnknownTopicOrPartition, wire.CodeInvalidPartitions}},
	{"alter", func(topic string) kmsg.Request {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
		e := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		e.Name, e.Value = "retention.ms", kmsg.StringPtr("123456")
		r.Configs = append(r.Configs, e)
		req.Resources = append(req.Resources, r)
		return req
	}, []int16{0, wire.CodeUnknownTopicOrPartition}},
	{"offset by time", func(topic string) kmsg.Request {
		req := kmsg.NewPtrListOffsetsRequest()
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Timestamp, p.CurrentLeaderEpoch = 1, -1
		req.Version = 4
		req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
		return req
	}, []int16{0, wire.CodeUnknownTopicOrPartition}},
	{"produce", func(topic string) kmsg.Request { return produceAll(topic, makeBatch(7, 1, 5000, 0)) },
		[]int16{0, wire.CodeUnknownTopicOrPartition}},
	{"fetch", func(topic string) kmsg.Request { return waitingFetch(topic, 0, 8, 20) },
		[]int16{0, wire.CodeUnknownTopicOrPartition, wire.CodeOffsetOutOfRange}},
	{"metadata", func(topic string) kmsg.Request {
		req := kmsg.NewPtrMetadataRequest()
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(topic)
		req.Version, req.AllowAutoTopicCreation, req.Topics = 4, true, append(req.Topics, t)
		return req
	}, []int16{0, wire.CodeLeaderNotAvailable}},
}

// answerCode is the error of a response about one topic.
func answerCode(resp kmsg.Response) int16 {
	switch r := resp.(type) {
	case *kmsg.CreateTopicsResponse:
		return r.Topics[0].ErrorCode
	case *kmsg.DeleteTopicsResponse:
		return r.Topics[0].ErrorCode
	case *kmsg.DeleteRecordsResponse:
		return r.Topics[0].Partitions[0].ErrorCode
	case *kmsg.CreatePartitionsResponse:
		return r.Topics[0].ErrorCode
	case *kmsg.IncrementalAlterConfigsResponse:
		return r.Resources[0].ErrorCode
	case *kmsg.ListOffsetsResponse:
		return r.Topics[0].Partitions[0].ErrorCode
	case *kmsg.ProduceResponse:
		return r.Topics[0].Partitions[0].ErrorCode
	case *kmsg.FetchResponse:
		return r.Topics[0].Partitions[0].ErrorCode
	case *kmsg.MetadataResponse:
		return r.Topics[0].ErrorCode
	}
	panic(fmt.Sprintf("%T", resp))
}

// directoriesOf counts the directories of partitions by topic.
func directoriesOf(t *testing.T, dir string) map[string]int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]int)
	for _, e := range entries {
		if name, _, ok := catalog.ParseDirectory(e.Name()); ok {
			found[name]++
		}
	}
	return found
}

// pair is two requests about one topic at once, the first of which is held at an operation of the disk.
type pair struct {
	s             *server
	disk          *gateFS
	first, second *dialed
	a, b          adminRequest
	topic         string
}

// makeTopic makes the topic, with two segments.
func (p *pair) makeTopic() {
	t := p.s.t
	t.Helper()
	if code, message := p.first.createWith(p.topic, map[string]string{"segment.bytes": "16384"}); code != 0 {
		t.Fatal(code, message)
	}
	for k := range 2 {
		p.first.publish(&shadow{topic: p.topic, end: int64(4 * k)}, makeBatch(uint64(k), 4, 2200, 0))
	}
}

// run sends both, the second when the first is held at the gate or answered, and reads both answers.
func (p *pair) run(held *gate) {
	t := p.s.t
	t.Helper()
	reqA, reqB := p.a.request(p.topic), p.b.request(p.topic)
	p.first.send(reqA)
	answered := make(chan []byte, 1)
	go func() {
		frame, err := readFrame(p.first.conn)
		if err != nil {
			t.Errorf("%s beside %s: %v", p.a.name, p.b.name, err)
		}
		answered <- frame
	}()
	var frame []byte
	select {
	case <-held.arrived:
	case frame = <-answered:
	}
	key := wire.Describe(reqB.Key())
	before := p.s.stats().Requests[key]
	p.second.send(reqB)
	p.s.await("the second request to arrive", func(st Stats) bool { return st.Requests[key] > before })
	held.release()
	if frame == nil {
		frame = <-answered
	}
	respA, err := parseResponse(frame, reqA, p.first.next)
	if err != nil {
		t.Fatalf("%s beside %s: %v", p.a.name, p.b.name, err)
	}
	p.check(p.a, respA)
	p.check(p.b, p.second.receive(reqB, p.second.next))
	p.first.alive() // no other answer comes
	p.second.alive()
}

func (p *pair) check(asked adminRequest, resp kmsg.Response) {
	if code := answerCode(resp); !slices.Contains(asked.codes, code) {
		p.s.t.Errorf("%s of %s and %s is answered with error %d", asked.name, p.a.name, p.b.name, code)
	}
}

// Any two requests about one topic at once, held at whatever operation of the disk: both are answered, once and with a
// sensible code, and the server serves what is on the disk, then and after a restart.
func TestAnyTwoRequestsAboutOneTopicAtOnceAreAnsweredAndLeaveItWhole(t *testing.T) {
	dir := t.TempDir()
	disk := newGateFS()
	in := func(c *Config) {
		c.DataDir, c.Log.FS, c.AutoCreateTopics, c.Fsync, c.Log.RetentionAge = dir, disk, true, commit.Fsync{Always: true}, -1
	}
	s := start(t, in)
	first, second := s.dial(), s.dial()
	var topics []string
	for i, a := range adminRequests {
		for j, b := range adminRequests {
			p := &pair{s, disk, first, second, a, b, fmt.Sprintf("t%d%d", i, j)}
			topics = append(topics, p.topic)
			p.makeTopic()
			gates := [...]struct{ op, part string }{{"open", p.topic + "-"}, {"rename", p.topic + "-"}, {"rename", catalog.MarkPrefix}, {"syncdir", ""}, {"remove", ""}}
			at := gates[(i+j)%len(gates)]
			p.run(disk.hold(at.op, at.part))
			disk.clear()
		}
	}
	want := s.servedOf(topics)
	check := func(when string, got map[string]int) {
		for _, topic := range topics {
			if got[topic] != want[topic] {
				t.Errorf("%s: topic %s has %d partitions, served were %d", when, topic, got[topic], want[topic])
			}
		}
	}
	check("on the disk", directoriesOf(t, dir))
	first.close()
	second.close()
	s.stop()
	s = start(t, in)
	check("after a restart", s.servedOf(topics))
	if text := s.log.String(); strings.Contains(text, "level=ERROR") {
		t.Errorf("the start found errors:\n%s", text)
	}
	if left, err := filepath.Glob(filepath.Join(dir, catalog.MarkPrefix+"*")); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// servedOf is how many partitions each topic has. It asks the broker itself: to ask as a client would make topics.
func (s *server) servedOf(topics []string) map[string]int {
	s.t.Helper()
	found := make(map[string]int)
	done := make(chan struct{})
	s.broker.Do(func() {
		for _, topic := range topics {
			if tp := s.broker.catalog.Topic(topic); tp != nil {
				found[topic] = len(tp.Partitions)
			}
		}
		close(done)
	})
	select {
	case <-done:
	case <-time.After(patience):
		s.t.Fatal("the loop does not answer")
	}
	return found
}
