package segment

import (
	"cmp"
	"crypto/rand"
	"errors"
	"log/slog"
	"math"
	"time"

	"oneplusn/segment/mark"
	"oneplusn/segment/records"
)

// ErrStorage wraps errors of the file system.
var ErrStorage = errors.New("segment: the disk refused a write")

// Options configure a [Log]. The zero value of each means its default.
type Options struct {
	// SegmentBytes is the size at which a segment ends (segment.bytes). Default 1 GiB, at most 2 GiB - 1.
	SegmentBytes int64
	// SegmentAge is the time between the first batch of a segment and a batch that begins the next (segment.ms).
	// Default 7 days.
	SegmentAge time.Duration
	// RetentionBytes is the size of a log above which its oldest segments go (retention.bytes). Negative, the default, is
	// unlimited.
	RetentionBytes int64
	// RetentionAge is the time after its latest record at which a segment goes (retention.ms). Negative is unlimited.
	// Default 7 days.
	RetentionAge time.Duration
	// AppendTime replaces the timestamps of every batch by the time of its append (message.timestamp.type=LogAppendTime).
	AppendTime bool
	// ManualCommit: only [Log.Synced] moves the high watermark, not the write (--fsync=always).
	ManualCommit bool
	// IndexIntervalBytes is the distance of entries of the index (index.interval.bytes). Default 4096.
	IndexIntervalBytes int64
	// MaxBatchBytes is the size of the largest batch (max.message.bytes). Default 1 MiB and 12 bytes.
	MaxBatchBytes int
	// MaxInflatedBytes bounds the inflated size of one compressed batch's records. Default 128 MiB.
	MaxInflatedBytes int64
	// TimestampBeforeMaxMillis and TimestampAfterMaxMillis bound the distance in milliseconds of a record's time from its append
	// (message.timestamp.before.max.ms and .after.max.ms); negative allows none. AppendTime disables them. Default unlimited,
	// and one hour.
	TimestampBeforeMaxMillis, TimestampAfterMaxMillis int64
	// MaxProducers bounds the idempotent producers that a log remembers; beyond it the least recently seen one is
	// forgotten. Default 10,000.
	MaxProducers int
	// ProducerExpiry is the time after which a silent producer is forgotten (producer.id.expiration.ms). Default 24 hours.
	ProducerExpiry time.Duration
	// LeaderEpoch is the epoch of appended batches, unless the directory has a higher one.
	LeaderEpoch int32
	// TopicID goes into partition.metadata of a directory without one. Zero is none.
	TopicID [16]byte
	// FS is the file system. Default [OS].
	FS FS
	// Closer closes files and unmaps mappings. Without one the log's thread does, which may wait for the disk.
	Closer *Closer
	// Files bounds the open files of finished segments over all logs that share it. Default none: all stay open.
	Files *Files
	// Now is the time of day. Default [time.Now].
	Now func() time.Time
	// Random fills b with random bytes, for names. Any goroutine may call it. Default crypto/rand.
	Random func(b []byte)
	// Logger gets the actions of recovery. Default none.
	Logger *slog.Logger
}

func randomBytes(b []byte) { _, _ = rand.Read(b) }

const day = 24 * time.Hour

func (o Options) withDefaults() Options {
	o.SegmentBytes = min(cmp.Or(o.SegmentBytes, 1<<30), math.MaxInt32)
	o.SegmentAge = cmp.Or(o.SegmentAge, 7*day)
	o.RetentionBytes = cmp.Or(o.RetentionBytes, -1)
	o.RetentionAge = cmp.Or(o.RetentionAge, 7*day)
	o.IndexIntervalBytes = cmp.Or(o.IndexIntervalBytes, 4096)
	o.MaxBatchBytes = cmp.Or(o.MaxBatchBytes, 1<<20+records.Overhead)
	o.MaxInflatedBytes = cmp.Or(o.MaxInflatedBytes, 128<<20)
	o.TimestampBeforeMaxMillis = cmp.Or(o.TimestampBeforeMaxMillis, math.MaxInt64)
	o.TimestampAfterMaxMillis = cmp.Or(o.TimestampAfterMaxMillis, time.Hour.Milliseconds())
	o.MaxProducers = cmp.Or(o.MaxProducers, 10_000)
	o.ProducerExpiry = cmp.Or(o.ProducerExpiry, day)
	o.FS = cmp.Or(o.FS, OS)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = randomBytes
	}
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	return o
}

// Configure changes the options of an open log. SegmentBytes and IndexIntervalBytes count from the next segment on, the others from
// the next call on. FS, Closer, Random, Logger, LeaderEpoch and TopicID stay.
func (l *Log) Configure(o Options) {
	if l.closed {
		return
	}
	o = o.withDefaults()
	o.FS, o.Closer, o.Now, o.Logger = l.options.FS, l.options.Closer, l.options.Now, l.options.Logger
	o.Random, o.LeaderEpoch, o.TopicID = l.options.Random, l.options.LeaderEpoch, l.options.TopicID
	relaxed := l.options.ManualCommit && !o.ManualCommit
	l.options = o
	switch {
	case o.ManualCommit:
		l.awaitsSync = false
	case relaxed:
		mark.HitIf(l.planned, "acknowledgements stopped to wait for syncs while one was in flight")
		// Under the new policy written records count at once, unless their sync failed or may still fail.
		l.awaitsSync = l.planned || l.poisoned != nil
		l.worker.acks.until = l.highWatermark // up to here records were acknowledged under the old one
		l.showWritten()
	}
}

// OpenOptions are the data directory's knowledge about a log.
type OpenOptions struct {
	// Clean: [Log.Close] or a clean stop of Apache Kafka closed the log (see [TakeCleanMark]), so it needs no scan.
	Clean bool
	// LogStartOffset is the log's entry in log-start-offset-checkpoint, or 0: see [ReadCheckpoint].
	LogStartOffset int64
	// RecoveryPoint is the log's entry in recovery-point-offset-checkpoint, below which everything was durable: 0 if the log
	// is younger than the file, [AllDurable] if it is unknown.
	RecoveryPoint int64
}
