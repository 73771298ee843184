package fanout

import (
	"cmp"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"oneplusn/fanout/transfer"
	"oneplusn/ring"
	"oneplusn/segment"
)

// Config is all that can be set about a broker. [DefaultConfig] is a working one.
type Config struct {
	// Listen is the address to serve Kafka clients on, host:port. Port 0 takes a free one.
	Listen string
	// Advertise is the host:port that clients are told to connect to. Empty means the address that each client
	// connected to.
	Advertise string
	// DataDir holds one directory for each partition.
	DataDir string
	// NodeID is the broker's id in metadata, used when the data directory does not have one yet.
	NodeID int32

	// Partitions is the number of partitions of topics whose creator does not say.
	Partitions int
	// AutoCreateTopics lets a client's metadata request create the topics that it asks for, as long as there are fewer than
	// AutoCreateTopicLimit of all.
	AutoCreateTopics     bool
	AutoCreateTopicLimit int
	// MaxPartitions bounds the partitions of all topics together.
	MaxPartitions int
	// Fsync says when records are put on disk.
	Fsync Fsync
	// InlineWrites lets small writes run on the loop's thread while a local disk takes them at once. Without it every
	// write is handed to another thread.
	InlineWrites bool
	// SegmentBytes and SegmentAge are where a segment ends and the next begins.
	SegmentBytes int64
	SegmentAge   time.Duration
	// RetentionBytes and RetentionAge bound what a partition keeps; negative for no bound.
	RetentionBytes int64
	RetentionAge   time.Duration
	// RetentionCheck is how often retention is looked at.
	RetentionCheck time.Duration
	// MaxMessageBytes is the largest record batch accepted, and MaxInflatedBytes what the records of a compressed one may
	// inflate to.
	MaxMessageBytes  int
	MaxInflatedBytes int64

	// Ring sizes the ring and its receive buffers.
	Ring ring.Config
	// Transfer says how ranges reach sockets.
	Transfer transfer.Config

	// MaxConnections bounds the connections served at once.
	MaxConnections int
	// MaxRequestBytes is the largest request frame accepted.
	MaxRequestBytes int32
	// RequestMemoryBytes bounds the memory of all request frames together.
	RequestMemoryBytes int64
	// ResponseMemoryBytes bounds the memory of responses too large for a connection's slab.
	ResponseMemoryBytes int64
	// FetchMaxBytes caps what a client may ask for in one fetch.
	FetchMaxBytes int32
	// FetchSessionMemoryBytes bounds the fetch sessions of all connections; beyond it clients fetch without.
	FetchSessionMemoryBytes int64
	// SendBufferBytes fixes the socket send buffer (SO_SNDBUF); 0 leaves it to the kernel.
	SendBufferBytes int

	// FrameTimeout closes connections that have begun a request and send no more of it.
	FrameTimeout time.Duration
	// IdleTimeout closes connections on which nothing happens.
	IdleTimeout time.Duration
	// StallTimeout closes connections whose peer takes no byte of a response for this long.
	StallTimeout time.Duration
	// DrainTimeout is how long [Broker.Stop] waits for what is in flight.
	DrainTimeout time.Duration

	// SlowTurnLog is from when on a turn of the loop is logged, because everybody waits meanwhile; 0 for never.
	SlowTurnLog time.Duration

	// GroupMinSessionTimeout and GroupMaxSessionTimeout bound how long a member of a group may ask to be silent.
	GroupMinSessionTimeout, GroupMaxSessionTimeout time.Duration
	// GroupInitialRebalanceDelay is how long an empty group waits for more members after each that joins. One that stays
	// alone waits GroupLoneMemberDelay only.
	GroupInitialRebalanceDelay, GroupLoneMemberDelay time.Duration
	// OffsetsRetention is how long offsets are kept after their group has lost its last member.
	OffsetsRetention time.Duration
	// MaxGroups bounds the groups, MaxGroupMembers the members of one, GroupMemoryBytes what all of them hold.
	MaxGroups, MaxGroupMembers int
	GroupMemoryBytes           int64

	Logger *slog.Logger

	// What only a test changes, or [Open].
	fs    segment.FS     // of the logs, for a disk that fails; nil for the real one
	files *segment.Files // of finished segments
	pace  pace
}

// pace are times and limits that nobody has to set. Zero means the default.
type pace struct {
	sweep       time.Duration // see sweepEvery
	busyPort    time.Duration // see busyPortWait
	produceWait time.Duration // see minProduceWait
	checkpoint  time.Duration // see checkpointEvery
	descriptors int64         // the limit on open files; 0 is the process's
}

func (p pace) withDefaults() pace {
	p.sweep, p.busyPort = cmp.Or(p.sweep, sweepEvery), cmp.Or(p.busyPort, busyPortWait)
	p.produceWait, p.checkpoint = cmp.Or(p.produceWait, minProduceWait), cmp.Or(p.checkpoint, checkpointEvery)
	return p
}

// DefaultConfig is the configuration of a server started without flags.
func DefaultConfig() Config {
	return Config{
		Listen:               "127.0.0.1:9092",
		DataDir:              "oneplusn-data",
		NodeID:               1,
		Partitions:           1,
		AutoCreateTopics:     true,
		AutoCreateTopicLimit: 1000,
		MaxPartitions:        20_000,
		Fsync:                Fsync{Every: time.Second},
		InlineWrites:         true,
		SegmentBytes:         1 << 30,
		SegmentAge:           7 * 24 * time.Hour,
		RetentionBytes:       -1,
		RetentionAge:         7 * 24 * time.Hour,
		RetentionCheck:       time.Minute,
		MaxMessageBytes:      1<<20 + 12, // Apache Kafka's default: 1 MiB of records and the log's overhead
		MaxInflatedBytes:     128 << 20,  // a tenth of a second of one processor
		Ring: ring.Config{
			Entries:         1024,
			RecvBuffers:     2048,
			RecvBufferBytes: 8 << 10,
		},
		Transfer: transfer.Config{
			Mode:            transfer.Auto,
			PipeBytes:       1 << 20,
			MaxPipes:        256,
			ChunkBytes:      1 << 20,
			CopyBytes:       64 << 20,
			SpliceFromBytes: 32 << 10,
			ColdCacheBytes:  defaultColdCacheBytes(),
		},
		MaxConnections:          16384,
		MaxRequestBytes:         100 << 20, // Apache Kafka's socket.request.max.bytes
		RequestMemoryBytes:      512 << 20,
		ResponseMemoryBytes:     64 << 20,
		FetchMaxBytes:           55 << 20, // Apache Kafka's fetch.max.bytes of the broker
		FetchSessionMemoryBytes: 64 << 20, // a quarter of a million partitions
		FrameTimeout:            30 * time.Second,
		IdleTimeout:             10 * time.Minute,
		StallTimeout:            5 * time.Minute,
		DrainTimeout:            10 * time.Second,
		SlowTurnLog:             50 * time.Millisecond,

		GroupMinSessionTimeout:     6 * time.Second, // Apache Kafka's
		GroupMaxSessionTimeout:     30 * time.Minute,
		GroupInitialRebalanceDelay: 3 * time.Second, // Apache Kafka's
		GroupLoneMemberDelay:       300 * time.Millisecond,
		OffsetsRetention:           7 * 24 * time.Hour,
		MaxGroups:                  100_000,
		MaxGroupMembers:            2000,
		GroupMemoryBytes:           256 << 20,

		Logger: slog.Default(),
	}
}

// bound is one limit of a configuration field, which has the name of its flag.
type bound struct {
	name           string
	value, min, mx int64
	text           func(int64) string
}

func countText(n int64) string    { return strconv.FormatInt(n, 10) }
func durationText(n int64) string { return time.Duration(n).String() }

// sizeText writes bytes in the largest binary unit that divides them.
func sizeText(bytes int64) string {
	for i, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if one := int64(1) << (40 - 10*i); bytes != 0 && bytes%one == 0 {
			return countText(bytes/one) + unit
		}
	}
	return countText(bytes)
}

// bounds are the limits of all fields that are numbers.
func (c Config) bounds() []bound {
	const maxInt31, century = 1<<31 - 1, 100 * 365 * 24 * time.Hour
	count := func(name string, value, min, mx int) bound {
		return bound{name, int64(value), int64(min), int64(mx), countText}
	}
	size := func(name string, value, min, mx int64) bound { return bound{name, value, min, mx, sizeText} }
	duration := func(name string, value, min, mx time.Duration) bound {
		return bound{name, int64(value), int64(min), int64(mx), durationText}
	}
	return []bound{
		count("partitions", c.Partitions, 1, 10000),
		count("auto-create-limit", c.AutoCreateTopicLimit, 0, 1<<30),
		count("max-partitions", c.MaxPartitions, 1, 1<<24),
		count("max-connections", c.MaxConnections, 1, 1<<20),
		size("segment-bytes", c.SegmentBytes, 1<<14, maxInt31),
		duration("segment-age", c.SegmentAge, time.Millisecond, century),
		size("retention-bytes", c.RetentionBytes, -1<<62, 1<<63-1),
		duration("retention-age", c.RetentionAge, -1<<62, 1<<63-1),
		duration("retention-check", c.RetentionCheck, 10*time.Millisecond, 24*time.Hour),
		size("max-message-bytes", int64(c.MaxMessageBytes), 1<<10, 1<<30),
		size("max-inflated-bytes", c.MaxInflatedBytes, 1<<10, 1<<40),
		size("max-request-bytes", int64(c.MaxRequestBytes), 1<<12, maxInt31),
		size("request-memory", c.RequestMemoryBytes, 1<<12, 1<<40),
		size("response-memory", c.ResponseMemoryBytes, 1<<20, 1<<40),
		size("fetch-max-bytes", int64(c.FetchMaxBytes), 1<<10, maxInt31),
		size("fetch-session-memory", c.FetchSessionMemoryBytes, 0, 1<<40),
		size("pipe-size", int64(c.Transfer.PipeBytes), 4<<10, 1<<30),
		count("pipes", c.Transfer.MaxPipes, 1, 1<<20),
		size("chunk-size", int64(c.Transfer.ChunkBytes), 1, 1<<30),
		size("copy-memory", int64(c.Transfer.CopyBytes), 1, 1<<40),
		duration("frame-timeout", c.FrameTimeout, time.Second, 1000*time.Hour),
		duration("idle-timeout", c.IdleTimeout, time.Second, 1000*time.Hour),
		duration("stall-timeout", c.StallTimeout, time.Second, 1000*time.Hour),
		duration("slow-turn-log", c.SlowTurnLog, 0, time.Hour),
		duration("drain-timeout", c.DrainTimeout, 0, 1000*time.Hour),
		duration("group-min-session-timeout", c.GroupMinSessionTimeout, time.Millisecond, 24*time.Hour),
		duration("group-max-session-timeout", c.GroupMaxSessionTimeout, time.Millisecond, 24*time.Hour),
		duration("group-initial-rebalance-delay", c.GroupInitialRebalanceDelay, 0, time.Hour),
		duration("group-lone-member-delay", c.GroupLoneMemberDelay, 0, time.Hour),
		duration("offsets-retention", c.OffsetsRetention, time.Second, century),
		count("max-groups", c.MaxGroups, 1, 10_000_000),
		count("max-group-members", c.MaxGroupMembers, 1, 100_000),
		size("group-memory", c.GroupMemoryBytes, 1<<20, 1<<40),
	}
}

// Validate reports the first field that cannot work, with its limits, by the name of its flag.
func (c Config) Validate() error {
	for _, b := range c.bounds() {
		if b.value < b.min || b.value > b.mx {
			return fmt.Errorf("--%s is %s, allowed are %s to %s", b.name, b.text(b.value), b.text(b.min), b.text(b.mx))
		}
	}
	if err := checkAdvertise(c.Advertise); err != nil {
		return err
	}
	if err := c.Fsync.validate(); err != nil {
		return err
	}
	if err := validateColdCache(c.Transfer.ColdCacheBytes, c.Transfer.ReadaheadBytes); err != nil {
		return err
	}
	return c.validateTogether()
}

// validateTogether reports the first two fields that cannot work with each other.
func (c Config) validateTogether() error {
	maxRequest := sizeText(int64(c.MaxRequestBytes))
	switch {
	case c.MaxMessageBytes > int(c.MaxRequestBytes)-requestOverheadBytes:
		return fmt.Errorf("--max-message-bytes is %s, but a request of --max-request-bytes %s cannot carry it",
			sizeText(int64(c.MaxMessageBytes)), maxRequest)
	case c.RequestMemoryBytes < leastRequestMemory(c.MaxRequestBytes):
		return fmt.Errorf("--request-memory is %s, for requests of --max-request-bytes %s it must be %s or more",
			sizeText(c.RequestMemoryBytes), maxRequest, sizeText(leastRequestMemory(c.MaxRequestBytes)))
	case c.Transfer.CopyBytes < c.Transfer.ChunkBytes:
		return fmt.Errorf("--copy-memory is %s, which cannot hold one buffer of --chunk-size %s",
			sizeText(int64(c.Transfer.CopyBytes)), sizeText(int64(c.Transfer.ChunkBytes)))
	case c.GroupMinSessionTimeout > c.GroupMaxSessionTimeout:
		return fmt.Errorf("--group-min-session-timeout is %v, which is more than --group-max-session-timeout %v",
			c.GroupMinSessionTimeout, c.GroupMaxSessionTimeout)
	}
	return nil
}
