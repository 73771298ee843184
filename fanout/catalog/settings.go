package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/commit"
	"oneplusn/segment"
)

// TopicConfig is the configuration of one topic: its own settings, and the options that follow from them and the defaults. It is
// replaced as a whole, never changed, so another goroutine may read it.
type TopicConfig struct {
	set     map[string]string // its own settings
	Options segment.Options
	Flush   commit.FlushPolicy
}

// Setting is one key of a topic's configuration.
type Setting struct {
	Name string
	// BrokerName is Apache Kafka's name for the broker's default.
	BrokerName string
	Kind       kmsg.ConfigType
	Doc        string
	// min and max bound a number. A setting that is not a number lists its values in choices.
	min, max int64
	choices  []string
	// get and put read and change a configuration; nil for a setting with one choice.
	get func(c *TopicConfig) string
	put func(c *TopicConfig, value string, number int64)
}

const (
	// maxMillis is the longest time that fits a time.Duration, about 292 years.
	maxMillis = math.MaxInt64 / int64(time.Millisecond)
	unlimited = math.MaxInt64
)

// Settings are all keys of a topic's configuration, in the order in which they are described.
var Settings = []Setting{
	{Name: "cleanup.policy", BrokerName: "log.cleanup.policy", Kind: kmsg.ConfigTypeList, choices: []string{"delete"},
		Doc: "Old segments are deleted as a whole; nothing is compacted."},
	{Name: "compression.type", BrokerName: "compression.type", Kind: kmsg.ConfigTypeString, choices: []string{"producer"},
		Doc: "Batches stay as their producer compressed them."},
	{Name: "flush.messages", BrokerName: "log.flush.interval.messages", Kind: kmsg.ConfigTypeLong, min: 1, max: unlimited,
		Doc: "An fsync begins when this many records are not on disk. With 1 every acknowledgement waits for it.",
		get: func(c *TopicConfig) string { return decimal(c.Flush.Messages) },
		put: func(c *TopicConfig, _ string, n int64) { c.Flush.Messages = n }},
	{Name: "flush.ms", BrokerName: "log.flush.interval.ms", Kind: kmsg.ConfigTypeLong, min: 1, max: unlimited,
		Doc: "An fsync begins when a record has been unsynced for this many milliseconds.",
		get: func(c *TopicConfig) string { return decimal(c.Flush.EveryMillis()) },
		put: func(c *TopicConfig, _ string, n int64) { c.Flush.Every = millis(n) }},
	{Name: "max.message.bytes", BrokerName: "message.max.bytes", Kind: kmsg.ConfigTypeInt, min: 1 << 10, max: 1 << 30,
		Doc: "The largest record batch accepted.",
		get: func(c *TopicConfig) string { return decimal(int64(c.Options.MaxBatchBytes)) },
		put: func(c *TopicConfig, _ string, n int64) { c.Options.MaxBatchBytes = int(n) }},
	{Name: "message.timestamp.after.max.ms", BrokerName: "log.message.timestamp.after.max.ms", Kind: kmsg.ConfigTypeLong,
		min: 0, max: unlimited, Doc: "How far in the future a record's time may be, in milliseconds. It does not count with LogAppendTime.",
		get: func(c *TopicConfig) string { return decimal(max(c.Options.TimestampAfterMaxMillis, 0)) },
		put: func(c *TopicConfig, _ string, n int64) { c.Options.TimestampAfterMaxMillis = cmp.Or(n, -1) }},
	{Name: "message.timestamp.before.max.ms", BrokerName: "log.message.timestamp.before.max.ms", Kind: kmsg.ConfigTypeLong,
		min: 0, max: unlimited, Doc: "How far in the past a record's time may be, in milliseconds. It does not count with LogAppendTime.",
		get: func(c *TopicConfig) string { return decimal(max(c.Options.TimestampBeforeMaxMillis, 0)) },
		put: func(c *TopicConfig, _ string, n int64) { c.Options.TimestampBeforeMaxMillis = cmp.Or(n, -1) }},
	{Name: "message.timestamp.type", BrokerName: "log.message.timestamp.type", Kind: kmsg.ConfigTypeString,
		choices: []string{"CreateTime", "LogAppendTime"},
		Doc:     "Whether records keep their producer's time or get that of their append.",
		get: func(c *TopicConfig) string {
			if c.Options.AppendTime {
				return "LogAppendTime"
			}
			return "CreateTime"
		},
		put: func(c *TopicConfig, value string, _ int64) { c.Options.AppendTime = value == "LogAppendTime" }},
	{Name: "min.insync.replicas", BrokerName: "min.insync.replicas", Kind: kmsg.ConfigTypeInt, choices: []string{"1"},
		Doc: "Always 1: the server has no replication."},
	{Name: "retention.bytes", BrokerName: "log.retention.bytes", Kind: kmsg.ConfigTypeLong, min: -1, max: unlimited,
		Doc: "The size of a partition above which its oldest segments are deleted; -1 for none.",
		get: func(c *TopicConfig) string { return decimal(max(c.Options.RetentionBytes, -1)) },
		put: func(c *TopicConfig, _ string, n int64) { c.Options.RetentionBytes = cmp.Or(n, 1) }},
	{Name: "retention.ms", BrokerName: "log.retention.ms", Kind: kmsg.ConfigTypeLong, min: -1, max: unlimited,
		Doc: "The age of its latest record at which a segment is deleted, in milliseconds; -1 for none.",
		get: func(c *TopicConfig) string {
			if c.Options.RetentionAge < 0 {
				return "-1"
			}
			return decimal(c.Options.RetentionAge.Milliseconds())
		},
		put: func(c *TopicConfig, _ string, n int64) { c.Options.RetentionAge = cmp.Or(millis(n), 1) }},
	{Name: "segment.bytes", BrokerName: "log.segment.bytes", Kind: kmsg.ConfigTypeInt, min: 1 << 14, max: math.MaxInt32,
		Doc: "The size at which a segment ends and the next begins.",
		get: func(c *TopicConfig) string { return decimal(c.Options.SegmentBytes) },
		put: func(c *TopicConfig, _ string, n int64) { c.Options.SegmentBytes = n }},
	{Name: "segment.ms", BrokerName: "log.roll.ms", Kind: kmsg.ConfigTypeLong, min: 1, max: unlimited,
		Doc: "The age of its first record at which a segment ends and the next begins, in milliseconds.",
		get: func(c *TopicConfig) string { return decimal(c.Options.SegmentAge.Milliseconds()) },
		put: func(c *TopicConfig, _ string, n int64) { c.Options.SegmentAge = millis(n) }},
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// millis converts a number of milliseconds. The longest duration stands for longer ones.
func millis(n int64) time.Duration { return time.Duration(min(n, maxMillis)) * time.Millisecond }

func settingOf(name string) *Setting {
	for i := range Settings {
		if Settings[i].Name == name {
			return &Settings[i]
		}
	}
	return nil
}

// Value returns the setting's value in a configuration.
func (s *Setting) Value(c *TopicConfig) string {
	if s.get == nil {
		return s.choices[0]
	}
	return s.get(c)
}

// ReadOnly reports whether the setting has one value only.
func (s *Setting) ReadOnly() bool { return s.put == nil }

// apply puts a value into c, if it is allowed.
func (s *Setting) apply(c *TopicConfig, value string) error {
	if s.choices != nil {
		if !slices.Contains(s.choices, value) {
			return fmt.Errorf("%s=%s is not supported here, only %s%s", s.Name, value, strings.Join(s.choices, " and "), s.remedy(value))
		}
		if s.put != nil {
			s.put(c, value, 0)
		}
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < s.min || n > s.max {
		return fmt.Errorf("%s=%s: it must be a whole number from %d to %d", s.Name, value, s.min, s.max)
	}
	s.put(c, value, n)
	return nil
}

func (s *Setting) remedy(value string) string {
	if s.Name == "cleanup.policy" && strings.Contains(value, "compact") {
		return ": logs are not compacted, so records would be kept that compaction promises to drop; leave compacted topics to Apache Kafka"
	}
	return ""
}

// NewDefaults makes the configuration that the topics' own settings override.
func NewDefaults(options segment.Options, flush commit.FlushPolicy) *TopicConfig {
	options.ManualCommit = flush.Waits()
	return &TopicConfig{Options: options, Flush: flush}
}

// Own returns the value that was set for the topic itself.
func (c *TopicConfig) Own(name string) (value string, ok bool) {
	value, ok = c.set[name]
	return value, ok
}

// topicConfigOf derives a topic's configuration from its own settings and the defaults.
func topicConfigOf(defaults *TopicConfig, set map[string]string, maxBatchBytes int) (*TopicConfig, error) {
	c := &TopicConfig{set: set, Options: defaults.Options, Flush: defaults.Flush}
	for _, name := range slices.Sorted(maps.Keys(set)) { // so that the first error is always the same
		s := settingOf(name)
		if s == nil {
			return nil, unknownSetting(name)
		}
		if err := s.apply(c, set[name]); err != nil {
			return nil, err
		}
	}
	if c.Options.MaxBatchBytes > maxBatchBytes {
		return nil, fmt.Errorf("max.message.bytes=%d: a request carries at most %d (--max-request-bytes)", c.Options.MaxBatchBytes, maxBatchBytes)
	}
	c.Options.ManualCommit = c.Flush.Waits()
	return c, nil
}

func unknownSetting(name string) error {
	names := make([]string, 0, len(Settings))
	for i := range Settings {
		names = append(names, Settings[i].Name)
	}
	return fmt.Errorf("%s is not a setting of topics here (%s)", name, strings.Join(names, ", "))
}
