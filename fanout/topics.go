package fanout

import (
	"cmp"
	"math"
	"time"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/offsets"
)

// catalog is the part of the configuration that the catalog goes by.
func (c *Config) catalog() catalog.Config {
	return catalog.Config{
		Dir:              c.DataDir,
		NodeID:           c.NodeID,
		FS:               c.Log.FS,
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
	o := c.Log
	o.RetentionBytes, o.RetentionAge = cmp.Or(o.RetentionBytes, -1), cmp.Or(o.RetentionAge, -1)
	o.Logger = c.Logger
	o.TimestampBeforeMaxMillis = math.MaxInt64
	o.TimestampAfterMaxMillis = time.Hour.Milliseconds() // Apache Kafka's since 4.0
	return catalog.NewDefaults(o, c.Fsync.Policy())
}
