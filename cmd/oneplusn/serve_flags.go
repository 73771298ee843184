package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"oneplusn/fanout"
	"oneplusn/ring"
)

func serveFlags() []cli.Flag {
	d := fanout.DefaultConfig()
	return slices.Concat(
		category("ADDRESSES, DATA, LOG LINES", placeFlags(&d)...),
		category("TOPICS AND THEIR LOGS", topicFlags(&d)...),
		category("MOVING RECORDS TO SUBSCRIBERS", moveFlags(&d)...),
		category("CONNECTIONS AND REQUESTS", connectionFlags(&d)...),
		category("CONSUMER GROUPS", groupFlags(&d)...),
	)
}

const kib, mib, gib, tib = 1 << 10, 1 << 20, 1 << 30, 1 << 40

func placeFlags(d *fanout.Config) []cli.Flag {
	return []cli.Flag{
		stringFlag("listen", d.Listen, "`HOST:PORT` to serve Kafka clients on; port 0 takes a free one"),
		stringFlag("advertise", "", "`HOST:PORT` that clients are told to connect to (default: the address each client connected to)"),
		stringFlag("admin", "127.0.0.1:9644", "`HOST:PORT` of /metrics, /stats, /healthz and /debug/pprof; empty for none"),
		stringFlag("data", d.DataDir, "`DIR` that holds the logs"),
		stringFlag("log-level", "info", "`LEVEL` from which on is logged: debug, info, warn, error"),
		stringFlag("log-format", "text", "`FORMAT` of log lines: text or json"),
		&cli.IntFlag{Name: "ready-fd", EnvVars: envOf("ready-fd"), Value: -1, Usage: "open file descriptor `N` that gets one JSON line with the addresses when the server is ready (default: none)"},
	}
}

func topicFlags(d *fanout.Config) []cli.Flag {
	return []cli.Flag{
		intFlag("partitions", d.Partitions, "`N` partitions for topics whose creator does not say"),
		&cli.BoolFlag{Name: "auto-create-topics", EnvVars: envOf("auto-create-topics"), Value: d.AutoCreateTopics, Usage: "create topics that clients ask for; =false refuses them"},
		intFlag("auto-create-limit", d.AutoCreateTopicLimit, "`N` topics from which on asking for one creates no more; an admin client can"),
		intFlag("max-partitions", d.MaxPartitions, "`N` partitions of all topics together, and of one produce or fetch (there at least 20000); each has two files open, of which there may be as many as ulimit -n allows"),
		stringFlag("fsync", d.Fsync.String(), "`POLICY` that puts records on disk: never, interval=D, or always (see above); a topic's flush.messages and flush.ms override it"),
		&cli.BoolFlag{Name: "inline-writes", EnvVars: envOf("inline-writes"), Value: d.InlineWrites, Usage: "write small batches on the event loop's thread while a local disk takes them at once; =false hands every write to another thread, which takes longer and can never make other clients wait"},
		serveSize("segment-bytes", "`SIZE` at which a segment ends and the next begins (topics: segment.bytes)", d.SegmentBytes, 16*kib, 2*gib-1),
		durationFlag("segment-age", d.SegmentAge, "`DURATION` after its first record at which a segment ends (topics: segment.ms)"),
		serveSize("retention-bytes", "`SIZE` of a partition above which its oldest segments are deleted; 0 for no limit (topics: retention.bytes)", 0, 0, 1<<62),
		durationFlag("retention-age", d.RetentionAge, "`DURATION` after its latest record at which a segment is deleted; 0 for no limit (topics: retention.ms)"),
		durationFlag("retention-check", d.RetentionCheck, "`DURATION` between two looks at what retention no longer keeps"),
		serveSize("max-message-bytes", "`SIZE` of the largest record batch accepted", int64(d.MaxMessageBytes), kib, gib),
		serveSize("max-inflated-bytes", "`SIZE` that the records of one compressed batch may inflate to; larger ones are refused", d.MaxInflatedBytes, kib, tib),
	}
}

func moveFlags(d *fanout.Config) []cli.Flag {
	return []cli.Flag{
		stringFlag("transfer", d.Transfer.Mode.String(), "`MODE` that moves records to subscribers: splice, send, sendfile, copy, or auto (splice for large or cold ranges, send for small hot ones)"),
		serveSize("splice-from", "`SIZE` of a range from which on --transfer auto splices", d.Transfer.SpliceFromBytes, 0, gib),
		serveSize("chunk-size", "`SIZE` that one operation moves at most; smaller is fairer between subscribers, larger is cheaper", int64(d.Transfer.ChunkBytes), 1, gib),
		serveSize("pipe-size", "`SIZE` of each pipe between a segment and a socket", int64(d.Transfer.PipeBytes), 4*kib, gib),
		intFlag("pipes", d.Transfer.MaxPipes, "`N` pipes at most, whatever the number of subscribers"),
		serveSize("copy-memory", "`SIZE` of all buffers of --transfer copy together", int64(d.Transfer.CopyBytes), kib, 1024*gib),
		serveSize("cold-cache", fmt.Sprintf("`SIZE` of page cache that records read from disk may fill, for subscribers far behind, 16MiB or more; what is oldest in it is dropped; 0 leaves it all to the kernel, and so does --transfer sendfile (default: a quarter of the memory or of the cgroup's, here %s)",
			formatSize(d.Transfer.ColdCacheBytes)), d.Transfer.ColdCacheBytes, 0, 16*tib),
		serveSize("readahead", "`SIZE` that is read ahead of a subscriber that reads from disk, up to a quarter of --cold-cache; 0 leaves it to the kernel, which is best where the disk answers in less than a millisecond; 4MiB to 16MiB help where it does not, and cost CPU", d.Transfer.ReadaheadBytes, 0, gib),
		intFlag("ring-size", d.Ring.Entries, fmt.Sprintf("`N` submission queue entries, 1 to %d, rounded up to a power of two; small is correct, only slower", ring.MaxEntries)),
		intFlag("cq-size", 0, fmt.Sprintf("`N` completion queue entries, up to %d (default: four times --ring-size)", ring.MaxCompletionEntries)),
		intFlag("io-workers", 0, "`N` kernel worker threads at most for splices (default: one per CPU, at least 2)"),
	}
}

func connectionFlags(d *fanout.Config) []cli.Flag {
	return []cli.Flag{
		intFlag("max-connections", d.MaxConnections, "`N` connections at most"),
		serveSize("max-request-bytes", "`SIZE` of the largest request accepted", int64(d.MaxRequestBytes), 4*kib, 2*gib-1),
		serveSize("request-memory", "`SIZE` of all requests in memory together", d.RequestMemoryBytes, mib, 1024*gib),
		serveSize("response-memory", "`SIZE` of all large response headers in memory together", d.ResponseMemoryBytes, mib, 1024*gib),
		serveSize("fetch-max-bytes", "`SIZE` that one fetch is answered with at most", int64(d.FetchMaxBytes), kib, 2*gib-1),
		serveSize("fetch-session-memory", "`SIZE` of the fetch sessions of all connections together (KIP-227): some 256 bytes for each partition, and the topics' names; beyond it clients fetch without", d.FetchSessionMemoryBytes, 0, 1024*gib),
		serveSize("send-buffer", "`SIZE` of each socket's send buffer; 0 leaves it to the kernel", int64(d.SendBufferBytes), 0, gib),
		durationFlag("frame-timeout", d.FrameTimeout, "`DURATION` after which a client that has begun a request and sends no more of it is closed; less while others wait for --request-memory"),
		durationFlag("idle-timeout", d.IdleTimeout, "`DURATION` after which a connection without requests is closed"),
		durationFlag("stall-timeout", d.StallTimeout, "`DURATION` after which a subscriber that takes no byte of its response is closed"),
		durationFlag("slow-turn-log", d.SlowTurnLog, "`DURATION` of a turn of the loop, in which one client keeps all others waiting, from which on it is logged; 0 for never"),
		durationFlag("drain-timeout", d.DrainTimeout, "`DURATION` that a stop waits for responses under way"),
	}
}

func groupFlags(d *fanout.Config) []cli.Flag {
	return []cli.Flag{
		durationFlag("group-initial-rebalance-delay", d.GroupInitialRebalanceDelay, "`DURATION` that an empty consumer group waits for more members after each that joins, so that consumers that start together meet in one generation"),
		durationFlag("group-lone-member-delay", d.GroupLoneMemberDelay, "`DURATION` that a group's first member waits if nobody else comes; once a second does, both wait --group-initial-rebalance-delay"),
		durationFlag("group-min-session-timeout", d.GroupMinSessionTimeout, "`DURATION` that a group's member may ask to be silent for at least"),
		durationFlag("group-max-session-timeout", d.GroupMaxSessionTimeout, "`DURATION` that a group's member may ask to be silent for at most"),
		durationFlag("offsets-retention", d.OffsetsRetention, "`DURATION` that committed offsets are kept after their group has lost its last member, or no longer reads the topic"),
		intFlag("max-groups", d.MaxGroups, "`N` consumer groups at most"),
		intFlag("max-group-members", d.MaxGroupMembers, "`N` members of one consumer group at most"),
		serveSize("group-memory", "`SIZE` of all consumer groups in memory together: members, subscriptions, assignments, offsets", d.GroupMemoryBytes, mib, 1024*gib),
	}
}

func envOf(flag string) []string {
	return []string{"ONEPLUSN_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))}
}

func stringFlag(name, value, usage string) cli.Flag {
	return &cli.StringFlag{Name: name, EnvVars: envOf(name), Value: value, Usage: usage}
}

func intFlag(name string, value int, usage string) cli.Flag {
	return &cli.IntFlag{Name: name, EnvVars: envOf(name), Value: value, Usage: usage}
}

func durationFlag(name string, value time.Duration, usage string) cli.Flag {
	return &cli.DurationFlag{Name: name, EnvVars: envOf(name), Value: value, Usage: usage}
}

func serveSize(name, usage string, value, min, max int64) cli.Flag {
	return sizeFlag(name, envOf(name)[0], usage, value, min, max)
}
