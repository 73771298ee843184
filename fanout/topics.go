package fanout

import (
	"math"
	"time"

	"oneplusn/fanout/commit"
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
		internal:         offsetsTopic,
		internalSettings: offsetsSettings,
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

// partitionsAdded implements [catalogFollower]: what is committed to a topic wakes fetches.
func (b *Broker) partitionsAdded(tp *topic) {
	for p := range tp.online() {
		p.broker, p.commit.Watcher = b, p
	}
}

// Advanced implements [commit.Watcher].
func (p *partition) Advanced() { p.broker.markGrown(p) }

// topicDeleted implements [catalogFollower].
func (b *Broker) topicDeleted(name string) {
	if b.groups.coordinator != nil {
		b.groups.coordinator.TopicDeleted(b.instant(), name)
	}
}

// partitionRemoved implements [catalogFollower]: whoever waits for the partition is told.
func (b *Broker) partitionRemoved(p *partition) {
	b.markGrown(p)
	b.committer.Remove(&p.commit, commit.ErrRemoved)
}

// logWork implements [catalogFollower].
func (b *Broker) logWork(p *partition) { b.committer.Work(&p.commit) }

// partitionConfigured implements [catalogFollower].
func (b *Broker) partitionConfigured(p *partition) {
	b.committer.Configure(&p.commit, p.topic.config.flush)
}
