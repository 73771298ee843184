package fanout

import (
	"cmp"
	"fmt"
	"log/slog"
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
	// AutoCreateTopics lets a client's metadata request create the topics that it asks for.
	AutoCreateTopics bool
	// Fsync says when records are put on disk.
	Fsync Fsync
	// SegmentBytes and SegmentAge are where a segment ends and the next begins.
	SegmentBytes int64
	SegmentAge   time.Duration
	// RetentionBytes and RetentionAge bound what a partition keeps; negative for no bound.
	RetentionBytes int64
	RetentionAge   time.Duration
	// RetentionCheck is how often retention is looked at.
	RetentionCheck time.Duration
	// MaxMessageBytes is the largest record batch accepted.
	MaxMessageBytes int

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
	// FetchSessionPartitions bounds the partitions in the fetch sessions of all connections; beyond it clients fetch
	// without.
	FetchSessionPartitions int
	// SendBufferBytes fixes the socket send buffer (SO_SNDBUF); 0 leaves it to the kernel.
	SendBufferBytes int

	// IdleTimeout closes connections on which nothing happens.
	IdleTimeout time.Duration
	// StallTimeout closes connections whose peer takes no byte of a response for this long.
	StallTimeout time.Duration
	// DrainTimeout is how long [Broker.Stop] waits for what is in flight.
	DrainTimeout time.Duration

	// GroupMinSessionTimeout and GroupMaxSessionTimeout bound how long a member of a group may ask to be silent.
	GroupMinSessionTimeout, GroupMaxSessionTimeout time.Duration
	// GroupInitialRebalanceDelay is how long an empty group waits for more members after each that joins.
	GroupInitialRebalanceDelay time.Duration
	// OffsetsRetention is how long offsets are kept after their group has lost its last member.
	OffsetsRetention time.Duration
	// MaxGroups bounds the groups, MaxGroupMembers the members of one, GroupMemoryBytes what all of them hold.
	MaxGroups, MaxGroupMembers int
	GroupMemoryBytes           int64

	Logger *slog.Logger

	// What only a test changes.
	fs   segment.FS // of the logs, for a disk that fails; nil for the real one
	pace pace
}

// pace are times that nobody has to set. Zero means the default.
type pace struct {
	sweep       time.Duration // see sweepEvery
	busyPort    time.Duration // see busyPortWait
	produceWait time.Duration // see minProduceWait
}

func (p pace) withDefaults() pace {
	return pace{cmp.Or(p.sweep, sweepEvery), cmp.Or(p.busyPort, busyPortWait), cmp.Or(p.produceWait, minProduceWait)}
}

// DefaultConfig is the configuration of a server started without flags.
func DefaultConfig() Config {
	return Config{
		Listen:           "127.0.0.1:9092",
		DataDir:          "oneplusn-data",
		NodeID:           1,
		Partitions:       1,
		AutoCreateTopics: true,
		Fsync:            Fsync{Every: time.Second},
		SegmentBytes:     1 << 30,
		SegmentAge:       7 * 24 * time.Hour,
		RetentionBytes:   -1,
		RetentionAge:     7 * 24 * time.Hour,
		RetentionCheck:   time.Minute,
		MaxMessageBytes:  1<<20 + 12, // Apache Kafka's default: 1 MiB of records and the log's overhead
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
		MaxConnections:         16384,
		MaxRequestBytes:        100 << 20, // Apache Kafka's socket.request.max.bytes
		RequestMemoryBytes:     512 << 20,
		ResponseMemoryBytes:    64 << 20,
		FetchMaxBytes:          55 << 20,  // Apache Kafka's fetch.max.bytes of the broker
		FetchSessionPartitions: 256 << 10, // about 40 MB
		IdleTimeout:            10 * time.Minute,
		StallTimeout:           5 * time.Minute,
		DrainTimeout:           10 * time.Second,

		GroupMinSessionTimeout:     6 * time.Second, // Apache Kafka's
		GroupMaxSessionTimeout:     30 * time.Minute,
		GroupInitialRebalanceDelay: 20 * time.Millisecond,
		OffsetsRetention:           7 * 24 * time.Hour,
		MaxGroups:                  100_000,
		MaxGroupMembers:            2000,
		GroupMemoryBytes:           256 << 20,

		Logger: slog.Default(),
	}
}

// bound is one limit of a configuration field.
type bound struct {
	name           string
	value, min, mx int64
}

// Validate reports the first field that cannot work, with its limits.
func (c Config) Validate() error {
	const maxInt31 = 1<<31 - 1
	bounds := []bound{
		{"partitions", int64(c.Partitions), 1, 10000},
		{"max-connections", int64(c.MaxConnections), 1, 1 << 20},
		{"segment-bytes", c.SegmentBytes, 1 << 14, maxInt31},
		{"segment-age", int64(c.SegmentAge), int64(time.Millisecond), 1<<63 - 1},
		{"retention-bytes", c.RetentionBytes, -1 << 62, 1<<63 - 1},
		{"retention-age", int64(c.RetentionAge), -1 << 62, 1<<63 - 1},
		{"retention-check", int64(c.RetentionCheck), int64(10 * time.Millisecond), int64(24 * time.Hour)},
		{"max-message-bytes", int64(c.MaxMessageBytes), 1 << 10, 1 << 30},
		{"max-request-bytes", int64(c.MaxRequestBytes), 1 << 12, maxInt31},
		{"request-memory", c.RequestMemoryBytes, int64(c.MaxRequestBytes), 1 << 40},
		{"response-memory", c.ResponseMemoryBytes, 1 << 20, 1 << 40},
		{"fetch-max-bytes", int64(c.FetchMaxBytes), 1 << 10, maxInt31},
		{"fetch-session-partitions", int64(c.FetchSessionPartitions), 0, 1 << 30},
		{"pipe-size", int64(c.Transfer.PipeBytes), 4 << 10, 1 << 30},
		{"pipes", int64(c.Transfer.MaxPipes), 1, 1 << 20},
		{"chunk-size", int64(c.Transfer.ChunkBytes), 1, 1 << 30},
		{"copy-memory", int64(c.Transfer.CopyBytes), int64(c.Transfer.ChunkBytes), 1 << 40},
		{"idle-timeout", int64(c.IdleTimeout), int64(time.Second), int64(1000 * time.Hour)},
		{"group-min-session-timeout", int64(c.GroupMinSessionTimeout), int64(time.Millisecond), int64(c.GroupMaxSessionTimeout)},
		{"group-max-session-timeout", int64(c.GroupMaxSessionTimeout), int64(c.GroupMinSessionTimeout), int64(24 * time.Hour)},
		{"group-initial-rebalance-delay", int64(c.GroupInitialRebalanceDelay), 0, int64(time.Hour)},
		{"offsets-retention", int64(c.OffsetsRetention), int64(time.Second), int64(100 * 365 * 24 * time.Hour)},
		{"max-groups", int64(c.MaxGroups), 1, 10_000_000},
		{"max-group-members", int64(c.MaxGroupMembers), 1, 100_000},
		{"group-memory", c.GroupMemoryBytes, 1 << 20, 1 << 40},
		{"stall-timeout", int64(c.StallTimeout), int64(time.Second), int64(1000 * time.Hour)},
	}
	for _, b := range bounds {
		if b.value < b.min || b.value > b.mx {
			return fmt.Errorf("fanout: %s is %d, allowed are %d to %d", b.name, b.value, b.min, b.mx)
		}
	}
	if err := c.Fsync.validate(); err != nil {
		return err
	}
	if err := validateColdCache(c.Transfer.ColdCacheBytes, c.Transfer.ReadaheadBytes); err != nil {
		return err
	}
	if c.MaxMessageBytes > int(c.MaxRequestBytes)-requestOverheadBytes {
		return fmt.Errorf("fanout: max-message-bytes is %d, but a request of max-request-bytes %d cannot carry it",
			c.MaxMessageBytes, c.MaxRequestBytes)
	}
	return nil
}
