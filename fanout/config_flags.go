package fanout

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"time"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/flags"
	"oneplusn/fanout/transfer"
	"oneplusn/ring"
)

const (
	maxInt31 = 1<<31 - 1

	day, century = 24 * time.Hour, 100 * 365 * 24 * time.Hour
)

// Flags is the table of all settings that a user can change. Each entry has a setting's flag, target, default, limits and help.
// [Config.Validate] checks the limits between two settings.
func (c *Config) Flags() []flags.Flag {
	return slices.Concat(
		flags.Under("ADDRESSES, DATA, LOG LINES", c.placeFlags()...),
		flags.Under("TOPICS AND THEIR LOGS", c.topicFlags()...),
		flags.Under("MOVING RECORDS TO SUBSCRIBERS", c.moveFlags()...),
		flags.Under("CONNECTIONS AND REQUESTS", c.connectionFlags()...),
		flags.Under("CONSUMER GROUPS", c.groupFlags()...),
	)
}

func (c *Config) placeFlags() []flags.Flag {
	return []flags.Flag{
		flags.String("listen", &c.Listen, "127.0.0.1:9092", "serve Kafka clients on `HOST:PORT`; port 0 picks a free port").
			With("", func() error { return CheckAddress("listen", c.Listen) }),
		flags.String("advertise", &c.Advertise, "", "tell clients to connect to `HOST:PORT`").
			With("", func() error { return checkAdvertise(c.Advertise) }).ByDefault("the address each client connected to"),
		flags.String("data", &c.DataDir, "oneplusn-data", "keep the logs in directory `DIR`"),
	}
}

func (c *Config) topicFlags() []flags.Flag {
	noLimit := "0 for no limit, and more"
	return []flags.Flag{
		flags.Count("partitions", &c.Partitions, 1, 1, 10000, "`N` partitions for a topic whose creator names no number"),
		flags.Bool("auto-create-topics", &c.AutoCreateTopics, true, "create a topic when a client asks for one that does not exist; =false refuses instead"),
		flags.Count("auto-create-limit", &c.AutoCreateTopicLimit, 1000, 0, 1<<30, "`N` topics from which automatic creation stops; admin clients can still create"),
		flags.Count("max-partitions", &c.MaxPartitions, 20_000, 1, 1<<24, "at most `N` partitions in all topics together, and in one produce or fetch (there at least 20000); each keeps two files open, and ulimit -n limits those"),
		flags.Choice("fsync", &c.Fsync, "interval=1s", commit.ParseFsync, "`POLICY` for flushing records to disk: never, interval=D, or always (see above); a topic's flush.messages and flush.ms override it"),
		flags.Bool("inline-writes", &c.InlineWrites, true, "write small batches on the event loop's thread while a local disk takes them at once; =false hands every write to another thread, which takes longer but never makes other clients wait"),
		flags.Size("segment-bytes", &c.Log.SegmentBytes, flags.GiB, 16*flags.KiB, maxInt31, "end a segment and begin the next at `SIZE` (topics: segment.bytes)"),
		flags.Duration("segment-age", &c.Log.SegmentAge, 7*day, time.Millisecond, century, "end a segment `DURATION` after its first record (topics: segment.ms)"),
		flags.Size("retention-bytes", &c.Log.RetentionBytes, 0, -1, math.MaxInt64, "delete the oldest segments of a partition above `SIZE`; 0 for no limit (topics: retention.bytes)").
			With(noLimit, nil),
		flags.Duration("retention-age", &c.Log.RetentionAge, 7*day, -1, math.MaxInt64, "delete a segment `DURATION` after its latest record; 0 for no limit (topics: retention.ms)").
			With(noLimit, nil),
		flags.Duration("retention-check", &c.RetentionCheck, time.Minute, 10*time.Millisecond, day, "look for segments to delete every `DURATION`"),
		// Apache Kafka's default: 1 MiB of records and the log's overhead.
		flags.Size("max-message-bytes", &c.Log.MaxBatchBytes, flags.MiB+12, flags.KiB, flags.GiB, "refuse record batches larger than `SIZE`"),
		// Inflating this much takes a tenth of a second of one processor.
		flags.Size("max-inflated-bytes", &c.Log.MaxInflatedBytes, 128*flags.MiB, flags.KiB, flags.TiB, "refuse a compressed batch whose records inflate to more than `SIZE`"),
	}
}

const coldCacheAllowed = "16MiB to 16TiB, or 0 to leave it to the kernel"

func (c *Config) moveFlags() []flags.Flag {
	t := &c.Transfer
	cold := c.defaultColdCacheBytes()
	return []flags.Flag{
		flags.Choice("transfer", &t.Mode, "auto", transfer.ParseMode, "`MODE` that moves records to subscribers: splice, send, sendfile, copy, or auto (splice for large or cold ranges, send for small hot ones)"),
		flags.Size("splice-from", &t.SpliceFromBytes, 32*flags.KiB, 0, flags.GiB, "smallest `SIZE` of a range that --transfer auto splices; it splices cold ranges of any size"),
		flags.Size("chunk-size", &t.ChunkBytes, flags.MiB, 1, flags.GiB, "move at most `SIZE` in one operation; smaller is fairer between subscribers, larger costs less CPU"),
		flags.Size("pipe-size", &t.PipeBytes, flags.MiB, 4*flags.KiB, flags.GiB, "`SIZE` of each pipe between a segment and a socket"),
		flags.Count("pipes", &t.MaxPipes, 256, 1, 1<<20, "use at most `N` pipes, however many subscribers there are"),
		flags.Size("copy-memory", &t.CopyBytes, 64*flags.MiB, flags.KiB, flags.TiB, "`SIZE` of all buffers of --transfer copy together"),
		flags.Size("cold-cache", &t.ColdCacheBytes, cold, 0, maxColdCacheBytes, "let records read from disk, for subscribers far behind, fill at most `SIZE` of page cache, 16MiB or more; the oldest are evicted first; 0 leaves it all to the kernel, and so does --transfer sendfile").
			With(coldCacheAllowed, nil).ByDefault("a quarter of the memory, or of the cgroup's limit, here " + flags.FormatSize(cold)),
		flags.Size("readahead", &t.ReadaheadBytes, 0, 0, flags.GiB, "read `SIZE` ahead of a subscriber that reads from disk, at most a quarter of --cold-cache; 0 leaves it to the kernel, which is best if the disk answers in less than a millisecond; 4MiB to 16MiB help on slower disks, and cost CPU"),
		flags.Count("ring-size", &c.Ring.Entries, 1024, 1, ring.MaxEntries, fmt.Sprintf("`N` submission queue entries, 1 to %d, rounded up to a power of two; a small ring is correct, only slower", ring.MaxEntries)).
			With(fmt.Sprintf("1 to %d", ring.MaxEntries), c.checkRingSize),
		flags.Count("cq-size", &c.Ring.CompletionEntries, 0, 0, ring.MaxCompletionEntries, fmt.Sprintf("`N` completion queue entries, up to %d", ring.MaxCompletionEntries)).
			With(fmt.Sprintf("--ring-size to %d", ring.MaxCompletionEntries), c.checkCompletionQueue).ByDefault("four times --ring-size"),
		flags.Count("io-workers", &c.Ring.Workers, 0, 0, ring.MaxWorkers, "use at most `N` kernel worker threads for splices").
			With(fmt.Sprintf("1 to %d, or 0 for one per CPU", ring.MaxWorkers), nil).ByDefault("one per CPU, at least 2"),
	}
}

func (c *Config) connectionFlags() []flags.Flag {
	const long = 1000 * time.Hour
	return []flags.Flag{
		flags.Count("max-connections", &c.MaxConnections, 16384, 1, 1<<20, "accept at most `N` connections at a time"),
		flags.Size("max-request-bytes", &c.MaxRequestBytes, 100*flags.MiB, 4*flags.KiB, maxInt31, "refuse requests larger than `SIZE`"), // Apache Kafka's socket.request.max.bytes
		flags.Size("request-memory", &c.RequestMemoryBytes, 512*flags.MiB, flags.MiB, flags.TiB, "`SIZE` of memory for all requests together"),
		flags.Size("response-memory", &c.ResponseMemoryBytes, 64*flags.MiB, flags.MiB, flags.TiB, "`SIZE` of memory for all large response headers together"),
		flags.Size("fetch-max-bytes", &c.FetchMaxBytes, 55*flags.MiB, flags.KiB, maxInt31, "answer one fetch with at most `SIZE`"), // Apache Kafka's
		flags.Size("fetch-session-memory", &c.FetchSessionMemoryBytes, 64*flags.MiB, 0, flags.TiB, "`SIZE` of memory for the fetch sessions of all connections together (KIP-227): about 256 bytes for each partition, and the topics' names; beyond it clients fetch without a session"),
		flags.Size("send-buffer", &c.SendBufferBytes, 0, 0, flags.GiB, "`SIZE` of each socket's send buffer; 0 leaves it to the kernel"),
		flags.Duration("frame-timeout", &c.FrameTimeout, 30*time.Second, time.Second, long, "close a client that began a request and sends no more of it for `DURATION`; sooner while others wait for --request-memory"),
		flags.Duration("idle-timeout", &c.IdleTimeout, 10*time.Minute, time.Second, long, "close a connection without requests after `DURATION`"),
		flags.Duration("stall-timeout", &c.StallTimeout, 5*time.Minute, time.Second, long, "close a subscriber that takes no byte of its response for `DURATION`"),
		flags.Duration("slow-turn-log", &c.SlowTurnLog, 50*time.Millisecond, 0, time.Hour, "log turns of the event loop longer than `DURATION` (all clients wait meanwhile); 0 for never"),
		flags.Count("flight-recorder", &c.FlightRecorderEvents, 4096, 1, 1<<24, "keep the last `N` operations of the event loop for /debug/events and for the report of a failed assertion; 48 bytes each"),
		flags.Duration("drain-timeout", &c.DrainTimeout, 10*time.Second, 0, long, "let a stop wait at most `DURATION` for responses under way"),
	}
}

func (c *Config) groupFlags() []flags.Flag {
	return []flags.Flag{
		// Apache Kafka's default, as that of --group-min-session-timeout.
		flags.Duration("group-initial-rebalance-delay", &c.Group.InitialRebalanceDelay, 3*time.Second, 0, time.Hour, "let an empty consumer group wait `DURATION` for more members after each that joins, so that consumers that start together meet in one generation"),
		flags.Duration("group-lone-member-delay", &c.Group.LoneMemberDelay, 300*time.Millisecond, 0, time.Hour, "let a group's first member wait `DURATION` if no other joins; once a second one does, both wait --group-initial-rebalance-delay"),
		flags.Duration("group-min-session-timeout", &c.Group.MinSessionTimeout, 6*time.Second, time.Millisecond, day, "refuse group members that ask for a session timeout below `DURATION`"),
		flags.Duration("group-max-session-timeout", &c.Group.MaxSessionTimeout, 30*time.Minute, time.Millisecond, day, "refuse group members that ask for a session timeout above `DURATION`"),
		flags.Duration("offsets-retention", &c.Group.OffsetsRetention, 7*day, time.Second, century, "delete committed offsets `DURATION` after their group lost its last member, or stopped reading the topic"),
		flags.Count("max-groups", &c.Group.MaxGroups, 100_000, 1, 10_000_000, "hold at most `N` consumer groups"),
		flags.Count("max-group-members", &c.Group.MaxMembers, 2000, 1, 100_000, "allow at most `N` members in one consumer group"),
		flags.Size("group-memory", &c.Group.MemoryBytes, 256*flags.MiB, flags.MiB, flags.TiB, "`SIZE` of memory for all consumer groups together: members, subscriptions, assignments, offsets"),
	}
}

// CheckAddress refuses anything but HOST:PORT with a numeric port; an empty host stands for all addresses.
func CheckAddress(flag, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("--%s %q: write HOST:PORT with a port from 0 to 65535, as in 127.0.0.1:9092", flag, address)
	}
	return nil
}
