package fanout

import (
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

func (c *dialed) createWith(topic string, set map[string]string) (int16, string) {
	c.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 4
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, 1, 1
	for name, value := range set {
		e := kmsg.NewCreateTopicsRequestTopicConfig()
		e.Name, e.Value = name, kmsg.StringPtr(value)
		t.Configs = append(t.Configs, e)
	}
	req.Topics = append(req.Topics, t)
	r := c.ask(req).(*kmsg.CreateTopicsResponse).Topics[0]
	return r.ErrorCode, text(r.ErrorMessage)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// alter sets the values of a topic; an empty one deletes.
func (c *dialed) alter(topic string, set map[string]string, validateOnly bool) (int16, string) {
	c.t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = validateOnly
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	for name, value := range set {
		e := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		e.Name = name
		if e.Op = kmsg.IncrementalAlterConfigOpDelete; value != "" {
			e.Op, e.Value = kmsg.IncrementalAlterConfigOpSet, kmsg.StringPtr(value)
		}
		r.Configs = append(r.Configs, e)
	}
	req.Resources = append(req.Resources, r)
	resp := c.ask(req).(*kmsg.IncrementalAlterConfigsResponse).Resources[0]
	return resp.ErrorCode, text(resp.ErrorMessage)
}

// described are the values of a resource, and those of them that were set for it.
func (c *dialed) described(kind kmsg.ConfigResourceType, name string) (all, own map[string]string) {
	c.t.Helper()
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version, req.IncludeSynonyms, req.IncludeDocumentation = 3, true, true
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, name
	req.Resources = append(req.Resources, r)
	resp := c.ask(req).(*kmsg.DescribeConfigsResponse).Resources[0]
	if resp.ErrorCode != 0 {
		c.t.Fatalf("describing %s: error %d %s", name, resp.ErrorCode, text(resp.ErrorMessage))
	}
	all, own = map[string]string{}, map[string]string{}
	for _, e := range resp.Configs {
		all[e.Name] = text(e.Value)
		if e.Source == kmsg.ConfigSourceDynamicTopicConfig {
			own[e.Name] = text(e.Value)
		}
	}
	return all, own
}

func TestTopicConfigurationSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	in := func(c *Config) { c.DataDir, c.Log.MaxBatchBytes = dir, 5000 }
	s := start(t, in)
	c := s.dial()
	given := map[string]string{"segment.bytes": "16384", "retention.ms": "86400000", "cleanup.policy": "delete"}
	if code, message := c.createWith("feed", given); code != 0 {
		t.Fatalf("create: error %d %s", code, message)
	}
	if code, message := c.alter("feed", map[string]string{"retention.ms": "", "flush.messages": "1", "retention.bytes": "0"}, false); code != 0 {
		t.Fatalf("alter: error %d %s", code, message)
	}
	want := map[string]string{"segment.bytes": "16384", "cleanup.policy": "delete", "flush.messages": "1", "retention.bytes": "0"}
	check := func(c *dialed) {
		all, own := c.described(kmsg.ConfigResourceTypeTopic, "feed")
		if !maps.Equal(own, want) {
			t.Errorf("set for the topic is %v, want %v", own, want)
		}
		if len(all) != len(catalog.Settings) || all["max.message.bytes"] != "5000" || all["retention.ms"] != "604800000" {
			t.Errorf("the topic's whole configuration is %v", all)
		}
	}
	check(c)
	c.close()
	s.stop()
	s = start(t, in)
	c = s.dial()
	check(c)
	all, _ := c.described(kmsg.ConfigResourceTypeBroker, "1")
	if all["message.max.bytes"] != "5000" || all["log.dirs"] != dir || all["log.flush.interval.ms"] != "1000" {
		t.Errorf("the broker's configuration is %v", all)
	}
}

func TestTopicConfigurationThatCannotBeIsRefusedByName(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	for _, row := range []struct{ name, value, says string }{
		{"cleanup.policy", "compact", "not compacted"},
		{"cleanup.policy", "compact,delete", "not compacted"},
		{"segment.bytes", "16383", "16384"},
		{"segment.bytes", "2147483648", "2147483647"},
		{"segment.bytes", "many", "many"},
		{"retention.ms", "-2", "-1"},
		{"flush.messages", "0", "from 1"},
		{"max.message.bytes", "1073741824", "max-request-bytes"},
		{"message.timestamp.type", "Whenever", "LogAppendTime"},
		{"min.insync.replicas", "2", "only 1"},
		{"retention.minutes", "5", "retention.minutes is not a setting"},
	} {
		set := map[string]string{row.name: row.value}
		for what, ask := range map[string]func() (int16, string){
			"create": func() (int16, string) { return c.createWith("other", set) },
			"alter":  func() (int16, string) { return c.alter("feed", set, false) },
		} {
			code, message := ask()
			if code != wire.CodeInvalidConfig || !strings.Contains(message, row.says) || !strings.Contains(message, row.name) {
				t.Errorf("%s with %s=%s: error %d %q, want it to say %q", what, row.name, row.value, code, message, row.says)
			}
		}
	}
	// A change with one part that cannot be leaves nothing behind, and one that is only to be checked neither.
	if code, _ := c.alter("feed", map[string]string{"retention.ms": "1000", "segment.bytes": "1"}, false); code == 0 {
		t.Error("a change that is partly impossible was accepted")
	}
	if code, message := c.alter("feed", map[string]string{"retention.ms": "1000"}, true); code != 0 {
		t.Errorf("validating: error %d %s", code, message)
	}
	if _, own := c.described(kmsg.ConfigResourceTypeTopic, "feed"); len(own) != 0 {
		t.Errorf("%v is set, though nothing was accepted", own)
	}
	if code, _ := c.alter("nothing", map[string]string{"retention.ms": "1"}, false); code != wire.CodeUnknownTopicOrPartition {
		t.Errorf("a topic that is missing: error %d", code)
	}
}

func TestReplacingAConfigurationRemovesWhatItDoesNotName(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	if code, message := c.createWith("feed", map[string]string{"retention.ms": "1000", "segment.bytes": "16384"}); code != 0 {
		t.Fatal(code, message)
	}
	replace := func(name string, value *string) kmsg.AlterConfigsResponseResource {
		req := kmsg.NewPtrAlterConfigsRequest()
		req.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "feed",
			Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: name, Value: value}}}}
		return c.ask(req).(*kmsg.AlterConfigsResponse).Resources[0]
	}
	if r := replace("retention.ms", nil); r.ErrorCode != wire.CodeInvalidConfig || !strings.Contains(text(r.ErrorMessage), "retention.ms") {
		t.Errorf("a setting without a value: error %d %q", r.ErrorCode, text(r.ErrorMessage))
	}
	if r := replace("segment.bytes", kmsg.StringPtr("1")); r.ErrorCode != wire.CodeInvalidConfig {
		t.Errorf("a value out of its limits: error %d %q", r.ErrorCode, text(r.ErrorMessage))
	}
	if _, own := c.described(kmsg.ConfigResourceTypeTopic, "feed"); len(own) != 2 {
		t.Errorf("a refused replacement left %v", own)
	}
	if r := replace("retention.ms", kmsg.StringPtr("2000")); r.ErrorCode != 0 {
		t.Errorf("error %d %q", r.ErrorCode, text(r.ErrorMessage))
	}
	if _, own := c.described(kmsg.ConfigResourceTypeTopic, "feed"); !maps.Equal(own, map[string]string{"retention.ms": "2000"}) {
		t.Errorf("set for the topic is %v", own)
	}
}

// The resources of a request wait as the request, which is charged, and not each as a change of its own.
func TestOneRequestHasOneChangeOfATopicWaiting(t *testing.T) {
	disk := newGateFS()
	s := start(t, func(c *Config) { c.Log.FS = disk })
	c := s.dial()
	c.create("feed", 1)
	req := kmsg.NewPtrAlterConfigsRequest()
	for range 40_000 {
		req.Resources = append(req.Resources, kmsg.AlterConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "feed"})
	}
	writing := disk.hold("open", catalog.TopicConfigFile)
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	c.send(req)
	<-writing.arrived
	s.onLoop(func(*Broker) {})
	charged := s.stats().RequestMemory
	if took := heap() - before; took > charged {
		t.Errorf("%d bytes are held for a request that is charged %d", took, charged)
	}
	c.close() // it would be answered after 40,000 changes
	s.await("the client to be gone", func(st Stats) bool { return st.Closed["peer"] == 1 })
	writing.release()
}

// Resources that are refused are answered at once, each within the call for the one before it if nobody takes care.
func TestManyRefusedResourcesTakeNoStack(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	for i := range 60_000 {
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeBroker, strconv.Itoa(i)
		req.Resources = append(req.Resources, r)
	}
	stacks := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(stacks)
	before := stacks[0].Value.Uint64()
	resp := c.ask(req).(*kmsg.IncrementalAlterConfigsResponse)
	metrics.Read(stacks)
	if took := int64(stacks[0].Value.Uint64() - before); took > 4<<20 {
		t.Errorf("the stacks grew by %d bytes", took)
	}
	if n := len(resp.Resources); n != len(req.Resources) || resp.Resources[n-1].ErrorCode != wire.CodeInvalidRequest {
		t.Errorf("%d resources of %d are answered", n, len(req.Resources))
	}
}

// A crash leaves the file of before the change, or the one after it; and a temporary file, which nobody reads.
func TestHalfWrittenTopicConfigurationIsNeverRead(t *testing.T) {
	dir := t.TempDir()
	in := func(c *Config) { c.DataDir = dir }
	s := start(t, in)
	c := s.dial()
	if code, message := c.createWith("feed", map[string]string{"retention.ms": "1000"}); code != 0 {
		t.Fatal(code, message)
	}
	c.close()
	s.stop()
	half := filepath.Join(dir, "feed-0", catalog.TopicConfigFile+".123.tmp")
	if err := os.WriteFile(half, []byte("retention.ms=5\nsegm"), 0o644); err != nil {
		t.Fatal(err)
	}
	s = start(t, in)
	if _, own := s.dial().described(kmsg.ConfigResourceTypeTopic, "feed"); !maps.Equal(own, map[string]string{"retention.ms": "1000"}) {
		t.Errorf("set for the topic is %v", own)
	}
}

func TestUnreadableTopicConfigurationRefusesTheTopicWithTheLine(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "feed-0"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "feed-0", catalog.TopicConfigFile)
	if err := os.WriteFile(path, []byte("retention.ms=soon\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := start(t, func(c *Config) { c.DataDir = dir })
	for _, part := range []string{path, "retention.ms=soon", "correct the line"} {
		if !strings.Contains(s.log.String(), part) {
			t.Errorf("%q does not say %q", s.log, part)
		}
	}
	c := s.dial()
	req := produceAll("feed", makeBatch(1, 1, 10, 0))
	if r := produced(t, c, req, c.sendAgain(req)); r.ErrorCode != wire.CodeKafkaStorageError {
		t.Errorf("a record for it: error %d", r.ErrorCode)
	}
	if code, _ := c.alter("feed", map[string]string{"retention.ms": "5"}, false); code != wire.CodeKafkaStorageError {
		t.Errorf("a change of it: error %d", code)
	}
	c.create("other", 1)
	c.publish(&shadow{topic: "other"}, makeBatch(9, 1, 10, 0))
}

func TestSegmentsGoByRetentionAndReadersAreTold(t *testing.T) {
	s := start(t, func(c *Config) { c.RetentionCheck = 10 * time.Millisecond })
	c := s.dial()
	if code, message := c.createWith("feed", map[string]string{"segment.bytes": "16384", "retention.bytes": "32768"}); code != 0 {
		t.Fatal(code, message)
	}
	log := &shadow{topic: "feed"}
	for i := range 20 {
		c.publish(log, makeBatch(uint64(i), 8, 1000, time.Now().UnixMilli()))
	}
	s.await("old segments to go", func(st Stats) bool { return st.LogBytes <= 3*16384 })
	if r := c.fetchOne(11, wanted{topic: "feed", offset: 0}); r.ErrorCode != wire.CodeOffsetOutOfRange || r.LogStartOffset == 0 {
		t.Errorf("a fetch below the start: error %d, start %d", r.ErrorCode, r.LogStartOffset)
	}
	if !eventually(func() bool { return logFiles(t, s, "feed-0") <= 4 }) {
		t.Errorf("%d segment files are left", logFiles(t, s, "feed-0"))
	}
}

func logFiles(t *testing.T, s *server, partition string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(s.broker.config.DataDir, partition, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func (c *dialed) deleteRecords(topic string, offset int64) (lowWatermark int64, code int16) {
	c.t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Version = 1
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewDeleteRecordsRequestTopicPartition()
	rp.Offset = offset
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	r := c.ask(req).(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0]
	return r.LowWatermark, r.ErrorCode
}

func TestDeletedRecordsStayDeleted(t *testing.T) {
	dir := t.TempDir()
	in := func(c *Config) { c.DataDir, c.Log.RetentionAge = dir, -1 }
	s := start(t, in)
	c := s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	for i := range 5 {
		c.publish(log, makeBatch(uint64(i), 10, 100, 0))
	}
	if low, code := c.deleteRecords("feed", 51); code != wire.CodeOffsetOutOfRange {
		t.Errorf("behind the end: %d, error %d", low, code)
	}
	if low, code := c.deleteRecords("feed", 25); code != 0 || low != 25 {
		t.Fatalf("low watermark %d, error %d", low, code)
	}
	check := func(c *dialed) {
		t.Helper()
		if r := c.fetchOne(11, wanted{topic: "feed", offset: 24}); r.ErrorCode != wire.CodeOffsetOutOfRange {
			t.Errorf("a deleted record can be fetched: error %d", r.ErrorCode)
		}
		if r := c.fetchOne(11, wanted{topic: "feed", offset: 25}); r.ErrorCode != 0 || r.LogStartOffset != 25 || len(r.RecordBatches) == 0 {
			t.Errorf("the first record that is left: error %d, start %d, %d bytes", r.ErrorCode, r.LogStartOffset, len(r.RecordBatches))
		}
	}
	check(c)
	c.close()
	s.stop()
	s = start(t, in)
	c = s.dial()
	check(c)
	if low, code := c.deleteRecords("feed", -1); code != 0 || low != 50 {
		t.Errorf("all: low watermark %d, error %d", low, code)
	}
	// A topic of the same name begins at offset 0.
	c.remove("feed")
	if !eventually(func() bool { return c.tryCreate("feed", 1) == 0 }) {
		t.Fatal("the topic cannot be made again")
	}
	c.publish(&shadow{topic: "feed"}, makeBatch(9, 1, 10, 0))
	starts, err := segment.ReadCheckpoint(segment.OS, filepath.Join(dir, segment.LogStartFile))
	if err != nil || len(starts) != 0 {
		t.Errorf("starts of deleted logs are kept: %v, error %v", starts, err)
	}
}

func TestSyncPolicyOfATopicChangesWhileItIsServed(t *testing.T) {
	s, d := startOn(t, commit.Fsync{})
	c, admin := s.dial(), s.dial()
	c.create("feed", 1)
	req := produceAll("feed", makeBatch(1, 1, 10, 0))
	if r := produced(t, c, req, c.sendAgain(req)); r.ErrorCode != 0 {
		t.Fatalf("error %d", r.ErrorCode)
	}
	d.await(t, 0, 0)
	if code, message := admin.alter("feed", map[string]string{"flush.messages": "1"}, false); code != 0 {
		t.Fatal(code, message)
	}
	d.await(t, 1, 1) // what was not on disk yet
	d.end(0)
	req = produceAll("feed", makeBatch(2, 1, 10, 0))
	c.send(req)
	d.await(t, 2, 1)
	// Back again: what waits is answered when the sync that is under way has ended, and not before it could fail.
	if code, message := admin.alter("feed", map[string]string{"flush.messages": ""}, false); code != 0 {
		t.Fatal(code, message)
	}
	d.end(0)
	if r := produced(t, c, req, c.next); r.ErrorCode != 0 || r.BaseOffset != 1 {
		t.Errorf("error %d, offset %d", r.ErrorCode, r.BaseOffset)
	}
}
