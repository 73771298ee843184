package fanout

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"net"
	"strconv"
	"time"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/conn"
	"oneplusn/fanout/flags"
	"oneplusn/fanout/group"
	"oneplusn/fanout/offsets"
	"oneplusn/fanout/transfer"
	"oneplusn/ring"
	"oneplusn/segment"
)

// Config is a broker's configuration. [DefaultConfig] is a working one. [Config.Flags] documents each field, with its limits and its
// default; the comments here are for programs.
type Config struct {
	Listen, Advertise, DataDir string
	// NodeID is the broker's id in metadata, used when the data directory does not have one yet.
	NodeID int32

	Partitions, AutoCreateTopicLimit, MaxPartitions int
	AutoCreateTopics, InlineWrites                  bool
	Fsync                                           commit.Fsync
	// Log has the defaults of topics. Retention is without a limit from 0 down.
	Log            segment.Options
	RetentionCheck time.Duration

	Ring     ring.Config
	Transfer transfer.Config

	conn.Limits
	FetchMaxBytes           int32
	FetchSessionMemoryBytes int64
	SendBufferBytes         int           // SO_SNDBUF
	DrainTimeout            time.Duration // of [Broker.Stop]
	SlowTurnLog             time.Duration
	FlightRecorderEvents    int

	Group group.Config

	Logger  *slog.Logger
	Machine Machine

	pace pace
}

// pace are times and limits that only tests change.
type pace struct {
	sweep        time.Duration // how often connections are looked at for being idle or stalled, and the longest wait
	busyPort     time.Duration // see [conn.BusyPortWait]
	checkpoint   time.Duration // see [catalog.CheckpointEvery]
	produceWait  time.Duration // see [produce.Config]
	inlineWrites bool          // with another file system, too
}

// DefaultConfig is the configuration of a server started without flags.
func DefaultConfig() Config {
	c := Config{NodeID: 1, Ring: ring.Config{RecvBuffers: 2048, RecvBufferBytes: 8 << 10}, Logger: slog.Default(), Machine: ThisMachine(),
		pace: pace{sweep: time.Second, busyPort: conn.BusyPortWait, checkpoint: catalog.CheckpointEvery}}
	flags.Reset(c.Flags())
	return c
}

// Validate reports the first field that cannot work, with its limits, by the name of its flag.
func (c Config) Validate() error {
	if err := flags.Validate(c.Flags()); err != nil {
		return err
	}
	if err := c.Fsync.Validate(); err != nil {
		return err
	}
	return c.validateTogether()
}

// validateTogether reports the first two fields that contradict each other.
func (c Config) validateTogether() error {
	cold, maxRequest := c.Transfer.ColdCacheBytes, flags.FormatSize(int64(c.MaxRequestBytes))
	switch {
	case c.Log.MaxBatchBytes > int(c.MaxRequestBytes)-requestOverheadBytes:
		return fmt.Errorf("--max-message-bytes is %s, but a request of --max-request-bytes %s cannot carry it",
			flags.FormatSize(int64(c.Log.MaxBatchBytes)), maxRequest)
	case c.RequestMemoryBytes < conn.LeastRequestMemory(c.MaxRequestBytes):
		return fmt.Errorf("--request-memory is %s, for requests of --max-request-bytes %s it must be %s or more",
			flags.FormatSize(c.RequestMemoryBytes), maxRequest, flags.FormatSize(conn.LeastRequestMemory(c.MaxRequestBytes)))
	case c.Transfer.CopyBytes < c.Transfer.ChunkBytes:
		return fmt.Errorf("--copy-memory is %s, which cannot hold one buffer of --chunk-size %s",
			flags.FormatSize(int64(c.Transfer.CopyBytes)), flags.FormatSize(int64(c.Transfer.ChunkBytes)))
	case cold != 0 && cold < minColdCacheBytes:
		return fmt.Errorf("--cold-cache is %s, allowed are %s", flags.FormatSize(cold), coldCacheAllowed)
	case cold != 0 && c.Transfer.ReadaheadBytes > cold/4:
		return fmt.Errorf("--readahead is %s, allowed are 0 to a quarter of --cold-cache, %s",
			flags.FormatSize(c.Transfer.ReadaheadBytes), flags.FormatSize(cold/4))
	case c.Group.MinSessionTimeout > c.Group.MaxSessionTimeout:
		return fmt.Errorf("--group-min-session-timeout is %v, which is more than --group-max-session-timeout %v",
			c.Group.MinSessionTimeout, c.Group.MaxSessionTimeout)
	}
	return nil
}

func (c *Config) checkRingSize() error {
	if _, err := ring.RoundEntries(c.Ring.Entries); err != nil {
		return fmt.Errorf("--ring-size: %w", err)
	}
	return nil
}

func (c *Config) checkCompletionQueue() error {
	least, _ := ring.RoundEntries(c.Ring.Entries)
	if n := c.Ring.CompletionEntries; n != 0 && (n < least || n > ring.MaxCompletionEntries) {
		return fmt.Errorf("--cq-size is %d, allowed are %d (--ring-size) to %d, or 0 for four times --ring-size", n, least, ring.MaxCompletionEntries)
	}
	return nil
}

// checkAdvertise refuses an address that clients could not use.
func checkAdvertise(address string) error {
	if address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--advertise %q: %w: write HOST:PORT, as in broker.example:9092", address, err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return fmt.Errorf("--advertise %q: write HOST:PORT, with a port from 1 to 65535", address)
	}
	return nil
}

// catalog is the catalog's configuration.
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
		OpenFilesLimit:   c.Machine.OpenFilesLimit,
		ExpireEvery:      c.RetentionCheck,
		CheckpointEvery:  c.pace.checkpoint,
	}
}

// requestOverheadBytes is room for a Produce request beside its batch.
const requestOverheadBytes = 1024

// topicDefaults apply where a topic has no setting of its own.
func topicDefaults(c *Config) *catalog.TopicConfig {
	o := c.Log
	o.RetentionBytes, o.RetentionAge = cmp.Or(o.RetentionBytes, -1), cmp.Or(o.RetentionAge, -1)
	o.Logger, o.Now, o.Random = c.Logger, c.Machine.Clock, c.Machine.Random
	o.TimestampBeforeMaxMillis = math.MaxInt64
	o.TimestampAfterMaxMillis = time.Hour.Milliseconds() // Apache Kafka's since 4.0
	return catalog.NewDefaults(o, c.Fsync.Policy())
}

// maxOffsetMetadataBytes is Apache Kafka's offset.metadata.max.bytes.
const maxOffsetMetadataBytes = 4096

// offsets is the configuration of the coordinator and its log.
func (c *Config) offsets() offsets.Config {
	groups := c.Group
	groups.MaxMetadataBytes = maxOffsetMetadataBytes
	groups.MaxReplyBytes = c.ResponseMemoryBytes / 4
	groups.NewMemberID = c.newMemberID
	return offsets.Config{Group: groups, MaxInflatedBytes: c.Log.MaxInflatedBytes}
}

// newMemberID is the client's id and a random UUID.
func (c *Config) newMemberID(clientID string) string {
	var u [16]byte
	c.Machine.Random(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80 // RFC 9562, version 4
	return fmt.Sprintf("%s-%x-%x-%x-%x-%x", clientID, u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
