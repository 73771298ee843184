package segment

import (
	"errors"
	"log/slog"
	"math"
	"time"

	"oneplusn/segment/records"
)

// ErrStorage wraps what the file system answered to a write.
var ErrStorage = errors.New("segment: the disk refused a write")

// Options configure a [Log]. The zero value of each means its default.
type Options struct {
	// SegmentBytes is the size at which a segment ends and the next begins (segment.bytes). Default 1 GiB, at most
	// 2 GiB - 1.
	SegmentBytes int64
	// SegmentAge is the time between the first batch of a segment and a batch that begins the next (segment.ms).
	// Default 7 days.
	SegmentAge time.Duration
	// RetentionBytes is the size of a log above which its oldest segments go (retention.bytes). Negative is without
	// limit, and the default.
	RetentionBytes int64
	// RetentionAge is the time after its latest record at which a segment goes (retention.ms). Negative is without
	// limit. Default 7 days.
	RetentionAge time.Duration
	// AppendTime gives every batch the time of its append in place of its producer's
	// (message.timestamp.type=LogAppendTime).
	AppendTime bool
	// ManualCommit moves the high watermark by [Log.Synced] alone, and not with the write (--fsync=always).
	ManualCommit bool
	// IndexIntervalBytes is the distance of entries of the index (index.interval.bytes). Default 4096.
	IndexIntervalBytes int64
	// MaxBatchBytes is the largest batch that Append takes (max.message.bytes). Default 1 MiB and 12 bytes.
	MaxBatchBytes int
	// MaxInflatedBytes is what the records of one compressed batch may inflate to. Default 128 MiB.
	MaxInflatedBytes int64
	// TimestampBeforeMaxMillis and TimestampAfterMaxMillis are how far a record's time may be from the time of its append,
	// in milliseconds (message.timestamp.before.max.ms and .after.max.ms); negative is not at all. They do not count with
	// AppendTime. Default without limit, and one hour.
	TimestampBeforeMaxMillis, TimestampAfterMaxMillis int64
	// MaxProducers bounds the idempotent producers that a log remembers; beyond it the one that was silent for longest
	// is forgotten. Default 10,000.
	MaxProducers int
	// ProducerExpiry is how long a silent producer is remembered (producer.id.expiration.ms). Default 24 hours.
	ProducerExpiry time.Duration
	// LeaderEpoch is written into appended batches, unless the directory was written under a higher one.
	LeaderEpoch int32
	// TopicID goes into partition.metadata of a directory that has none. Zero is none.
	TopicID [16]byte
	// FS is the file system. Default [OS].
	FS FS
	// Closer closes files and takes mappings down. Without one the log's thread does, which may wait for the disk.
	Closer *Closer
	// Files bounds the open files of finished segments, of all logs that have it. Default none: all stay open.
	Files *Files
	// Logger is told of what recovery does. Default none.
	Logger *slog.Logger
}

const day = 24 * time.Hour

func (o Options) withDefaults() Options {
	o.SegmentBytes = min(or(o.SegmentBytes, 1<<30), math.MaxInt32)
	o.SegmentAge = or(o.SegmentAge, 7*day)
	o.RetentionBytes = or(o.RetentionBytes, -1)
	o.RetentionAge = or(o.RetentionAge, 7*day)
	o.IndexIntervalBytes = or(o.IndexIntervalBytes, 4096)
	o.MaxBatchBytes = or(o.MaxBatchBytes, 1<<20+records.Overhead)
	o.MaxInflatedBytes = or(o.MaxInflatedBytes, 128<<20)
	o.TimestampBeforeMaxMillis = or(o.TimestampBeforeMaxMillis, math.MaxInt64)
	o.TimestampAfterMaxMillis = or(o.TimestampAfterMaxMillis, time.Hour.Milliseconds())
	o.MaxProducers = or(o.MaxProducers, 10_000)
	o.ProducerExpiry = or(o.ProducerExpiry, day)
	if o.FS == nil {
		o.FS = OS
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// or is value, or what it is by default.
func or[T comparable](value, byDefault T) T {
	var zero T
	if value == zero {
		return byDefault
	}
	return value
}

// Configure changes the options of an open log. SegmentBytes and IndexIntervalBytes count from the next segment on, the
// others from the next call on. FS, Closer, Logger, LeaderEpoch and TopicID stay what they were.
func (l *Log) Configure(o Options) {
	if l.closed {
		return
	}
	o = o.withDefaults()
	o.FS, o.Closer, o.Logger = l.options.FS, l.options.Closer, l.options.Logger
	o.LeaderEpoch, o.TopicID = l.options.LeaderEpoch, l.options.TopicID
	relaxed := l.options.ManualCommit && !o.ManualCommit
	l.options = o
	switch {
	case o.ManualCommit:
		l.awaitsSync = false
	case relaxed:
		// What was written counts at once under the policy from here on, unless its sync failed or may still fail.
		l.awaitsSync = l.planned || l.poisoned != nil
		l.relax()
		l.showWritten()
	}
}

// OpenOptions say what the data directory knows of a log when it is opened.
type OpenOptions struct {
	// Clean says that the log was closed by [Log.Close] or by a clean stop of Apache Kafka: see [TakeCleanMark]. The
	// scan is then spared.
	Clean bool
	// LogStartOffset is what log-start-offset-checkpoint says, 0 if nothing: see [ReadCheckpoint].
	LogStartOffset int64
	// RecoveryPoint is an offset below which everything was durable, as recovery-point-offset-checkpoint says; 0 if the
	// log is known to be younger than the file, [AllDurable] if nothing is known.
	RecoveryPoint int64
}
