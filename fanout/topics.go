package fanout

import (
	"math"
	"time"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/offsets"
	"oneplusn/segment"
)

// catalog is the part of the configuration that the catalog goes by.
func (c *Config) catalog() catalogConfig {
	return catalogConfig{
		dir:              c.DataDir,
		nodeID:           c.NodeID,
		fs:               c.fs,
		defaults:         topicDefaults(c),
		maxBatchBytes:    int(c.MaxRequestBytes) - requestOverheadBytes,
		internal:         offsets.Topic,
		internalSettings: offsets.Settings,
		newPartitions:    c.Partitions,
		maxPartitions:    c.MaxPartitions,
		autoCreateLimit:  c.AutoCreateTopicLimit,
		openFilesLimit:   openFilesLimit(c),
		expireEvery:      c.RetentionCheck,
		checkpointEvery:  c.pace.checkpoint,
	}
}

// requestOverheadBytes is room for what a Produce request has beside its batch.
const requestOverheadBytes = 1024

// leaderEpoch is the first epoch of every partition that is made here. See [segment.Log.LeaderEpoch] and leaderEpochs for those
// that follow; a directory from elsewhere goes on with the one that it has.
const leaderEpoch = 0

// topicDefaults are what a topic's own settings override.
func topicDefaults(c *Config) *topicConfig {
	t := &topicConfig{
		options: segment.Options{
			SegmentBytes:   c.SegmentBytes,
			SegmentAge:     c.SegmentAge,
			RetentionBytes: orNegative(c.RetentionBytes),
			RetentionAge:   time.Duration(orNegative(int64(c.RetentionAge))),
			MaxBatchBytes:  c.MaxMessageBytes,
			LeaderEpoch:    leaderEpoch,
			FS:             c.fs,
			Files:          c.files,
			Logger:         c.Logger,

			MaxInflatedBytes:         c.MaxInflatedBytes,
			TimestampBeforeMaxMillis: math.MaxInt64,
			TimestampAfterMaxMillis:  time.Hour.Milliseconds(), // Apache Kafka's since 4.0
		},
		flush: c.Fsync.Policy(),
	}
	t.options.ManualCommit = t.flush.Waits()
	return t
}

// topicDeleted implements [catalogFollower].
func (b *Broker) topicDeleted(name string) {
	b.offsets.TopicDeleted(name)
}

// partitionRemoved implements [catalogFollower]: whoever waits for the partition is told.
func (b *Broker) partitionRemoved(p *partition) {
	b.fetcher.Remove(&p.fetch)
	b.committer.Remove(&p.commit, commit.ErrRemoved)
}

// logWork implements [catalogFollower].
func (b *Broker) logWork(p *partition) { b.committer.Work(&p.commit) }

// partitionConfigured implements [catalogFollower].
func (b *Broker) partitionConfigured(p *partition) {
	b.committer.Configure(&p.commit, p.topic.config.flush)
}
