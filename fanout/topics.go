package fanout

import (
	"cmp"
	"math"
	"time"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/offsets"
	"oneplusn/segment"
)

// catalog is the part of the configuration that the catalog goes by.
func (c *Config) catalog() catalog.Config {
	return catalog.Config{
		Dir:              c.DataDir,
		NodeID:           c.NodeID,
		FS:               c.fs,
		Defaults:         topicDefaults(c),
		MaxBatchBytes:    int(c.MaxRequestBytes) - requestOverheadBytes,
		Internal:         offsets.Topic,
		InternalSettings: offsets.Settings,
		NewPartitions:    c.Partitions,
		MaxPartitions:    c.MaxPartitions,
		AutoCreateLimit:  c.AutoCreateTopicLimit,
		OpenFilesLimit:   openFilesLimit(c),
		ExpireEvery:      c.RetentionCheck,
		CheckpointEvery:  c.pace.checkpoint,
	}
}

// requestOverheadBytes is room for what a Produce request has beside its batch.
const requestOverheadBytes = 1024

// topicDefaults are what a topic's own settings override.
func topicDefaults(c *Config) *catalog.TopicConfig {
	return catalog.NewDefaults(segment.Options{
		SegmentBytes:   c.SegmentBytes,
		SegmentAge:     c.SegmentAge,
		RetentionBytes: cmp.Or(c.RetentionBytes, -1),
		RetentionAge:   cmp.Or(c.RetentionAge, -1),
		MaxBatchBytes:  c.MaxMessageBytes,
		FS:             c.fs,
		Files:          c.files,
		Logger:         c.Logger,

		MaxInflatedBytes:         c.MaxInflatedBytes,
		TimestampBeforeMaxMillis: math.MaxInt64,
		TimestampAfterMaxMillis:  time.Hour.Milliseconds(), // Apache Kafka's since 4.0
	}, c.Fsync.Policy())
}
