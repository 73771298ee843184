package main

import (
	"time"

	"github.com/urfave/cli/v2"
)

const benchDescription = `Publishes a data set and lets N subscribers read all of it, in every transfer mode of this server or from
any other server that speaks the Kafka protocol:

   oneplusn bench --subscribers 100 --discard
   oneplusn bench --transfer splice --ring-size 8,64,1024
   oneplusn bench --live --rate 100 --subscribers 1000 --record-size 128
   oneplusn bench --publish --producers 1,32
   oneplusn bench --cold --size 2GiB --hot-size 256MiB
   oneplusn bench --target 127.0.0.1:9092 --target-pid $(pgrep -f kafka.Kafka)

Without --target it starts servers itself, as child processes on a temporary directory, so that their CPU
time is theirs alone. They take ONEPLUSN_* variables and --serve-flag.

Subscribers check what they get (CRC32C of every batch, offsets without a gap). With --discard the kernel
throws the payload away (MSG_TRUNC), so that the client does not limit what is measured: then the only
check is the count of bytes.

The table shows for each mode: GB/s to all subscribers together, the server's CPU seconds per GB (user and
system, the kernel's workers included) and its ratio to copy's, the client's, how long a subscriber took
(p50, p99), and the copies that the server counted, where 1 is the data set moved once.

With --publish it shows for each --fsync policy and number of producers: acknowledged batches a second, how
long an acknowledgement took, how many batches one sync covered, and the rate compared with a plain pwrite
and fdatasync for each batch ("to plain") and with one producer under the same policy ("to 1 producer").
With --runs these ratios are formed within each run, and their median is shown.

With --cold --subscribers hot readers fetch the end of the log (--hot-size) over and over, one fetch each
--hot-every, while --cold-readers read all before it from disk; once with the page cache left to the kernel
and once with the server's --cold-cache. The table shows the rate of the cold readers, how much of the hot
part stayed in the page cache and how much of the cold part came into it, what the server read from disk,
and how long a hot fetch took beside the cold readers and alone. As long as memory is not short the kernel
drops nothing and both are alike; so give the benchmark, and the servers that it starts, a limit:

   sudo systemd-run --scope -p MemoryMax=512M oneplusn bench --cold --size 2GiB --hot-size 256MiB

or, by hand, a cgroup of version 2 or 1, entered by a shell of root from which the benchmark is run:

   mkdir /sys/fs/cgroup/bench; echo 512M > /sys/fs/cgroup/bench/memory.max
   echo $$ > /sys/fs/cgroup/bench/cgroup.procs

   mkdir /sys/fs/cgroup/memory/bench; echo 512M > /sys/fs/cgroup/memory/bench/memory.limit_in_bytes
   echo $$ > /sys/fs/cgroup/memory/bench/cgroup.procs`

func benchFlags() []cli.Flag {
	const kib, mib, gib = 1 << 10, 1 << 20, 1 << 30
	return []cli.Flag{
		benchString("target", "", "`HOST:PORT` of a server that runs, in place of one of our own"),
		benchString("target-admin", "", "`HOST:PORT` of the target's admin pages, for its counters, if it is a oneplusn"),
		benchInt("target-pid", 0, "process id `N` of the target, for its CPU time, if it has no admin pages"),
		benchString("topic", "", "`NAME` of the topic made on the target and removed afterwards (default: oneplusn-bench-<pid>)"),

		benchSize("size", "`SIZE` of the data set", 256*mib, 1, 1024*gib),
		benchSize("record-size", "`SIZE` of each record", kib, 1, 512*mib),
		benchSize("batch-size", "`SIZE` of each record batch", 256*kib, 100, gib),
		benchString("file", "", "`FILE` whose content is published in records, in place of noise; --size then caps it if it is given"),
		benchString("subscribers", "10", "`N` subscribers, or several numbers to be swept, as in 1,10,100"),
		benchString("transfer", "all", "`MODE` to measure, several separated by commas, or all; with --cold one, by default auto"),
		benchString("ring-size", "", "submission entries `N` of the server, or several to be swept, as in 8,64,1024 (default: the server's)"),
		benchSize("fetch-size", "`SIZE` that one fetch asks for; with --cold 1MiB by default", 8*mib, 4*kib, gib),
		&cli.BoolFlag{Name: "discard", EnvVars: benchEnv("discard"), Usage: "let the kernel throw payloads away in place of checking them"},
		benchInt("stalled", 0, "`N` more subscribers that read nothing for --stall, and then all of it, checked; everything is measured without and with them"),
		&cli.DurationFlag{Name: "stall", EnvVars: benchEnv("stall"), Value: 10 * time.Second, Usage: "`DURATION` for which stalled subscribers read nothing"},
		benchInt("trickling", 0, "`N` more subscribers that read one byte a second"),
		benchInt("runs", 1, "`N` runs of each configuration, in turn; the table has medians and extremes"),
		benchInt("threads", 0, "`N` threads of the client (default: one per CPU, at most 4)"),
		benchString("nginx", "", "`PATH` of an nginx that serves the same bytes to the same client by sendfile; auto takes the one in PATH. Needs --discard"),

		&cli.BoolFlag{Name: "live", EnvVars: benchEnv("live"), Usage: "publish at a pace to subscribers that wait, and report latencies"},
		&cli.Float64Flag{Name: "rate", EnvVars: benchEnv("rate"), Value: 100, Usage: "with --live: `N` records published a second"},
		&cli.DurationFlag{Name: "duration", EnvVars: benchEnv("duration"), Value: 10 * time.Second, Usage: "with --live and --publish: `DURATION` of publishing, with --publish for each row"},

		&cli.BoolFlag{Name: "publish", EnvVars: benchEnv("publish"), Usage: "measure publishing with acks=all under each --fsync policy, beside plain pwrite and fdatasync of the same bytes"},
		benchString("producers", "1,32", "with --publish: `N` producers, or several numbers to be swept; each has one batch of one record under way, or of --batch-size"),

		&cli.BoolFlag{Name: "cold", EnvVars: benchEnv("cold"), Usage: "measure --subscribers that read the log's end over and over beside others that read all before it from disk (see above)"},
		benchSize("cold-cache", "with --cold: `SIZE` of the server's --cold-cache, which is compared with none", 64*mib, 16*mib, 1024*gib),
		benchInt("cold-readers", 1, "with --cold: `N` subscribers that read from the first record to the hot part, as fast as they can"),
		benchSize("hot-size", "with --cold: `SIZE` of the hot part at the log's end (default: a quarter of the data set)", 0, 1, 1024*gib),
		&cli.DurationFlag{Name: "hot-every", EnvVars: benchEnv("hot-every"), Value: 100 * time.Millisecond, Usage: "with --cold: `DURATION` between two fetches of each hot reader"},
		&cli.DurationFlag{Name: "alone", EnvVars: benchEnv("alone"), Value: 2 * time.Second, Usage: "with --cold: `DURATION` for which the hot readers read before the cold ones come; 0 for not at all"},

		benchString("dir", "", "`DIR` in which the temporary data directory is made (default: a place for temporary files that is on a disk)"),
		&cli.StringSliceFlag{Name: "serve-flag", EnvVars: benchEnv("serve-flag"), Usage: "`NAME=VALUE` of a flag of oneplusn serve, for the servers started here; may be repeated"},
		benchString("json", "", "`FILE` that gets everything that was measured"),
		benchString("plot", "", "`FILE` (.svg, .png, .pdf) that gets a plot of the server's CPU time, with --publish of batches acknowledged a second"),
	}
}

func benchEnv(flag string) []string { return envOf("bench-" + flag) }

func benchString(name, value, usage string) cli.Flag {
	return &cli.StringFlag{Name: name, EnvVars: benchEnv(name), Value: value, Usage: usage}
}

func benchInt(name string, value int, usage string) cli.Flag {
	return &cli.IntFlag{Name: name, EnvVars: benchEnv(name), Value: value, Usage: usage}
}

func benchSize(name, usage string, value, min, max int64) cli.Flag {
	return sizeFlag(name, benchEnv(name)[0], usage, value, min, max)
}
