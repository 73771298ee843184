package fanout

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/offsets"
	"oneplusn/fanout/wire"
)

// autoCreate makes a topic the way a producer does: by asking for it.
func (c *dialed) autoCreate(topic string) {
	c.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.Version, req.AllowAutoTopicCreation = 4, true
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(topic)
	req.Topics = append(req.Topics, t)
	if code := c.ask(req).(*kmsg.MetadataResponse).Topics[0].ErrorCode; code != 0 {
		c.t.Fatalf("metadata of %s: error %d", topic, code)
	}
}

// The configuration of any topic can be changed, however it was made: by CreateTopics, automatically, by another broker.
// The server's own keeps its configuration, and says so.
func TestTopicsConfigurationCanBeChangedWhateverMadeIt(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "foreign-0"), 0o755); err != nil {
		t.Fatal(err)
	}
	in := func(c *Config) { c.DataDir, c.AutoCreateTopics = dir, true }
	s := start(t, in)
	c := s.dial()
	c.create("created", 1)
	c.autoCreate("auto")
	c.commit("group", "auto", 0) // makes the offsets topic
	for range 2 {
		for _, topic := range []string{"created", "auto", "foreign"} {
			for _, change := range []map[string]string{{"retention.ms": "1000"}, {"retention.ms": ""}, {"segment.ms": ""}, {}} {
				for _, validateOnly := range []bool{true, false} {
					if code, message := c.alter(topic, change, validateOnly); code != 0 {
						t.Errorf("%s: %v: error %d %s", topic, change, code, message)
					}
				}
			}
		}
		for _, change := range []map[string]string{{"retention.ms": "1000"}, {"retention.ms": ""}, {}} {
			for _, validateOnly := range []bool{true, false} {
				if code, message := c.alter(offsets.Topic, change, validateOnly); code != wire.CodePolicyViolation || message == "" {
					t.Errorf("the offsets topic: %v: error %d %q", change, code, message)
				}
			}
		}
		if all, _ := c.described(kmsg.ConfigResourceTypeTopic, offsets.Topic); all["retention.ms"] != "-1" || all["segment.bytes"] != "4194304" {
			t.Errorf("the offsets topic is described as %v", all)
		}
		c.close()
		s.stop()
		s = start(t, in)
		c = s.dial()
	}
}

// Changes in any order, valid and not, with restarts in between, leave the same settings as in a map.
func TestConfigurationIsWhatWasSetLastWhateverTheOrder(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	in := func(c *Config) { c.DataDir, c.AutoCreateTopics = dir, true }
	s := start(t, in)
	c := s.dial()
	c.create("created", 3)
	c.autoCreate("auto")
	model := map[string]map[string]string{"created": {}, "auto": {}}
	good := map[string][]string{
		"retention.ms": {"-1", "0", "1", "9223372036854775807"}, "retention.bytes": {"-1", "0", "77"}, "flush.messages": {"1", "5"},
		"flush.ms": {"1", "9223372036854775807"}, "segment.bytes": {"16384", "2147483647"}, "segment.ms": {"1", "100000"},
		"message.timestamp.type": {"CreateTime", "LogAppendTime"}, "cleanup.policy": {"delete"}, "max.message.bytes": {"1024", "900000"},
	}
	names := slices.Sorted(maps.Keys(good))
	bad := []string{"", "-2", "compact", "1e3", "9223372036854775808", "1\nretention.ms=5", "=", "\x00"}
	for step := range 300 {
		topic := []string{"created", "auto"}[rng.IntN(2)]
		change, next, valid := map[string]string{}, maps.Clone(model[topic]), true
		for range 1 + rng.IntN(3) {
			name := names[rng.IntN(len(names))]
			switch rng.IntN(8) {
			case 0: // deletes, whether it is set or not
				change[name] = ""
				delete(next, name)
			case 1:
				change[name] = bad[1+rng.IntN(len(bad)-1)]
			default:
				change[name] = good[name][rng.IntN(len(good[name]))]
			}
			next[name] = change[name]
			if change[name] == "" {
				delete(next, name)
			}
		}
		for _, value := range change {
			valid = valid && !slices.Contains(bad[1:], value)
		}
		validateOnly := rng.IntN(4) == 0
		code, message := c.alter(topic, change, validateOnly)
		if (code == 0) != valid || !valid && code != wire.CodeInvalidConfig {
			t.Fatalf("step %d: %s: %q: error %d %s", step, topic, change, code, message)
		}
		if valid && !validateOnly {
			model[topic] = next
		}
		if step%75 == 74 {
			c.close()
			s.stop()
			s = start(t, in)
			c = s.dial()
		}
		if _, own := c.described(kmsg.ConfigResourceTypeTopic, topic); !maps.Equal(own, model[topic]) {
			t.Fatalf("step %d: %s has %q, want %q", step, topic, own, model[topic])
		}
	}
}
