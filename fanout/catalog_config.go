package fanout

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/commit"
	"oneplusn/segment"
)

// topicConfig is the configuration of one topic: what was set for it by name, and what follows from that and the defaults. It is
// replaced as a whole, never changed, so another goroutine may read it.
type topicConfig struct {
	set     overrides
	options segment.Options
	flush   commit.FlushPolicy
}

// setting is one key of a topic's configuration.
type setting struct {
	name string
	// brokerName is what Apache Kafka calls the broker's default for it.
	brokerName string
	kind       kmsg.ConfigType
	doc        string
	// min and max bound a number. A setting that is not a number lists its values in choices.
	min, max int64
	choices  []string
	// get and put read and change a configuration; nil for a setting with one choice.
	get func(c *topicConfig) string
	put func(c *topicConfig, value string, number int64)
}

const (
	// maxMillis is the longest time that fits a time.Duration, about 292 years.
	maxMillis = math.MaxInt64 / int64(time.Millisecond)
	unlimited = math.MaxInt64
)

// settings are all keys of a topic's configuration, in the order in which they are described.
var settings = []setting{
	{name: "cleanup.policy", brokerName: "log.cleanup.policy", kind: kmsg.ConfigTypeList, choices: []string{"delete"},
		doc: "Old segments are deleted as a whole; nothing is compacted."},
	{name: "compression.type", brokerName: "compression.type", kind: kmsg.ConfigTypeString, choices: []string{"producer"},
		doc: "Batches stay as their producer compressed them."},
	{name: "flush.messages", brokerName: "log.flush.interval.messages", kind: kmsg.ConfigTypeLong, min: 1, max: unlimited,
		doc: "An fsync begins when so many records are not on disk. With 1 every acknowledgement waits for it.",
		get: func(c *topicConfig) string { return decimal(c.flush.Messages) },
		put: func(c *topicConfig, _ string, n int64) { c.flush.Messages = n }},
	{name: "flush.ms", brokerName: "log.flush.interval.ms", kind: kmsg.ConfigTypeLong, min: 1, max: unlimited,
		doc: "An fsync begins when a record has not been on disk for so many milliseconds.",
		get: func(c *topicConfig) string { return decimal(c.flush.EveryMillis()) },
		put: func(c *topicConfig, _ string, n int64) { c.flush.Every = millis(n) }},
	{name: "max.message.bytes", brokerName: "message.max.bytes", kind: kmsg.ConfigTypeInt, min: 1 << 10, max: 1 << 30,
		doc: "The largest record batch accepted.",
		get: func(c *topicConfig) string { return decimal(int64(c.options.MaxBatchBytes)) },
		put: func(c *topicConfig, _ string, n int64) { c.options.MaxBatchBytes = int(n) }},
	{name: "message.timestamp.after.max.ms", brokerName: "log.message.timestamp.after.max.ms", kind: kmsg.ConfigTypeLong,
		min: 0, max: unlimited, doc: "How far in the future a record's time may be, in milliseconds. It does not count with LogAppendTime.",
		get: func(c *topicConfig) string { return decimal(max(c.options.TimestampAfterMaxMillis, 0)) },
		put: func(c *topicConfig, _ string, n int64) { c.options.TimestampAfterMaxMillis = orNegative(n) }},
	{name: "message.timestamp.before.max.ms", brokerName: "log.message.timestamp.before.max.ms", kind: kmsg.ConfigTypeLong,
		min: 0, max: unlimited, doc: "How far in the past a record's time may be, in milliseconds. It does not count with LogAppendTime.",
		get: func(c *topicConfig) string { return decimal(max(c.options.TimestampBeforeMaxMillis, 0)) },
		put: func(c *topicConfig, _ string, n int64) { c.options.TimestampBeforeMaxMillis = orNegative(n) }},
	{name: "message.timestamp.type", brokerName: "log.message.timestamp.type", kind: kmsg.ConfigTypeString,
		choices: []string{"CreateTime", "LogAppendTime"},
		doc:     "Whether records keep their producer's time or get that of their append.",
		get: func(c *topicConfig) string {
			if c.options.AppendTime {
				return "LogAppendTime"
			}
			return "CreateTime"
		},
		put: func(c *topicConfig, value string, _ int64) { c.options.AppendTime = value == "LogAppendTime" }},
	{name: "min.insync.replicas", brokerName: "min.insync.replicas", kind: kmsg.ConfigTypeInt, choices: []string{"1"},
		doc: "There is one replica, this one."},
	{name: "retention.bytes", brokerName: "log.retention.bytes", kind: kmsg.ConfigTypeLong, min: -1, max: unlimited,
		doc: "The size of a partition above which its oldest segments are deleted; -1 for none.",
		get: func(c *topicConfig) string { return decimal(orNone(c.options.RetentionBytes)) },
		put: func(c *topicConfig, _ string, n int64) { c.options.RetentionBytes = notZero(n) }},
	{name: "retention.ms", brokerName: "log.retention.ms", kind: kmsg.ConfigTypeLong, min: -1, max: unlimited,
		doc: "The age of its latest record at which a segment is deleted, in milliseconds; -1 for none.",
		get: func(c *topicConfig) string {
			if c.options.RetentionAge < 0 {
				return "-1"
			}
			return decimal(c.options.RetentionAge.Milliseconds())
		},
		put: func(c *topicConfig, _ string, n int64) {
			c.options.RetentionAge = time.Duration(notZero(int64(millis(n))))
		}},
	{name: "segment.bytes", brokerName: "log.segment.bytes", kind: kmsg.ConfigTypeInt, min: 1 << 14, max: math.MaxInt32,
		doc: "The size at which a segment ends and the next begins.",
		get: func(c *topicConfig) string { return decimal(c.options.SegmentBytes) },
		put: func(c *topicConfig, _ string, n int64) { c.options.SegmentBytes = n }},
	{name: "segment.ms", brokerName: "log.roll.ms", kind: kmsg.ConfigTypeLong, min: 1, max: unlimited,
		doc: "The age of its first record at which a segment ends and the next begins, in milliseconds.",
		get: func(c *topicConfig) string { return decimal(c.options.SegmentAge.Milliseconds()) },
		put: func(c *topicConfig, _ string, n int64) { c.options.SegmentAge = millis(n) }},
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// millis is a time in milliseconds as a duration; negative ones stay negative, and what is too long is the longest.
func millis(n int64) time.Duration { return time.Duration(min(n, maxMillis)) * time.Millisecond }

// notZero keeps a limit of 0 apart from no limit, which 0 means in [segment.Options].
func notZero(n int64) int64 {
	if n == 0 {
		return 1
	}
	return n
}

// orNegative keeps a limit of 0 apart from the default, which 0 means in [segment.Options].
func orNegative(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

// orNone is -1 for every negative limit.
func orNone(n int64) int64 { return max(n, -1) }

func settingOf(name string) *setting {
	for i := range settings {
		if settings[i].name == name {
			return &settings[i]
		}
	}
	return nil
}

// value returns the setting's value in a configuration.
func (s *setting) value(c *topicConfig) string {
	if s.get == nil {
		return s.choices[0]
	}
	return s.get(c)
}

// apply puts a value into c, if it is allowed.
func (s *setting) apply(c *topicConfig, value string) error {
	if s.choices != nil {
		if !slices.Contains(s.choices, value) {
			return fmt.Errorf("%s=%s is not supported here, only %s%s", s.name, value, strings.Join(s.choices, " and "), s.remedy(value))
		}
		if s.put != nil {
			s.put(c, value, 0)
		}
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < s.min || n > s.max {
		return fmt.Errorf("%s=%s: it must be a whole number from %d to %d", s.name, value, s.min, s.max)
	}
	s.put(c, value, n)
	return nil
}

func (s *setting) remedy(value string) string {
	if s.name == "cleanup.policy" && strings.Contains(value, "compact") {
		return ": logs are not compacted, so records would be kept that compaction promises to drop; leave compacted topics to Apache Kafka"
	}
	return ""
}

// topicConfigOf derives a topic's configuration from what is set for it, on top of defaults.
func topicConfigOf(defaults *topicConfig, set overrides, maxBatchBytes int) (*topicConfig, error) {
	c := &topicConfig{set: set, options: defaults.options, flush: defaults.flush}
	for name, value := range set.all() {
		s := settingOf(name)
		if s == nil {
			return nil, unknownSetting(name)
		}
		if err := s.apply(c, value); err != nil {
			return nil, err
		}
	}
	if c.options.MaxBatchBytes > maxBatchBytes {
		return nil, fmt.Errorf("max.message.bytes=%d: a request carries at most %d (--max-request-bytes)", c.options.MaxBatchBytes, maxBatchBytes)
	}
	c.options.ManualCommit = c.flush.Waits()
	return c, nil
}

func unknownSetting(name string) error {
	names := make([]string, 0, len(settings))
	for i := range settings {
		names = append(names, settings[i].name)
	}
	return fmt.Errorf("%s is not a setting of topics here (%s)", name, strings.Join(names, ", "))
}
