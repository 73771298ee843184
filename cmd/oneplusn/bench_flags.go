package main

import (
	"slices"
	"time"

	"github.com/urfave/cli/v2"
)

const benchDescription = `Four scenarios, with this server or, the first two, with any other that speaks the Kafka protocol:

   oneplusn bench --subscribers 100 --discard
   oneplusn bench --transfer splice --ring-size 8,64,1024
   oneplusn bench --target 127.0.0.1:9092 --target-pid $(pgrep -f kafka.Kafka)
   oneplusn bench --live --rate 100 --subscribers 1000 --record-size 128
   oneplusn bench --publish --producers 1,32
   oneplusn bench --cold --size 2GiB --hot-size 256MiB

Without --target it starts servers itself, as child processes on a temporary directory, so that their CPU
time is theirs alone. They take ONEPLUSN_* variables and --serve-flag. With --runs a figure is the median of
the runs, with the extremes behind it. CPU time is user and system, the kernel's workers included.

DRAIN, without a scenario's flag: N subscribers read all of a data set, in every transfer mode.
They check what they get (CRC32C of every batch, offsets without a gap). With --discard the kernel throws
the payload away (MSG_TRUNC), so that the client does not limit what is measured: then the only check is
the count of bytes.

   GB/s             to all subscribers together
   server s CPU/GB  seconds of CPU time of the server for each GB delivered; "vs copy" is its ratio to copy's
   client s CPU/GB  the same of the load generator
   p50, p99 ms      how long a subscriber took to read everything
   CPU copies       of all bytes by the CPU, where 1 is the data set moved once, and those handed on by
   by reference     reference, as the server counted them
   queued           operations that waited because the ring was full
   pipes            that held bytes at once at most, of how many there may be
   anon MB          resident memory of the server without the page cache that it maps

LIVE, --live: N subscribers wait, and every record that is published goes to all of them.
p50 to max are from the publish to the arrival at a subscriber; late is how often the load generator was behind
its pace by more than the time between two records.

PUBLISH, --publish: producers wait for each acknowledgement (acks=all), under each --fsync policy.
p50 to max are from a batch's request to its acknowledgement; batches/sync is how many one fdatasync covered.
The rate is compared with a plain pwrite and fdatasync for each batch ("to plain") and with one producer under
the same policy ("to 1 producer"); these ratios are formed within each run, and their median is shown.

COLD, --cold: --subscribers hot readers fetch the end of the log (--hot-size) over and over, one fetch each
--hot-every, while --cold-readers read all before it from disk; once with the page cache left to the kernel
and once with the server's --cold-cache.

   cold MB/s        to all cold readers together
   hot cached %     how much of the hot part was in the page cache, at the least and at the end
   cold cached MiB  how much of the cold part was, at the most and at the end
   disk MiB         what the server read from disk
   hot, alone ms    how long a fetch of a hot reader took beside the cold ones, and without them

As long as memory is not short the kernel drops nothing and both are alike; so give the benchmark, and the
servers that it starts, a limit:

   sudo systemd-run --scope -p MemoryMax=512M oneplusn bench --cold --size 2GiB --hot-size 256MiB

or, by hand, a cgroup of version 2 or 1, entered by a shell of root from which the benchmark is run:

   mkdir /sys/fs/cgroup/bench; echo 512M > /sys/fs/cgroup/bench/memory.max
   echo $$ > /sys/fs/cgroup/bench/cgroup.procs

   mkdir /sys/fs/cgroup/memory/bench; echo 512M > /sys/fs/cgroup/memory/bench/memory.limit_in_bytes
   echo $$ > /sys/fs/cgroup/memory/bench/cgroup.procs`

// benchFlags have the scenarios first, then what several of them take, then what only one takes.
func benchFlags() []cli.Flag {
	return named("bench-", slices.Concat(
		category("SCENARIO",
			&cli.BoolFlag{Name: "live", Usage: "publish at a pace to subscribers that wait, and report latencies"},
			&cli.BoolFlag{Name: "publish", Usage: "measure publishing with acks=all under each --fsync policy, beside plain pwrite and fdatasync of the same bytes"},
			&cli.BoolFlag{Name: "cold", Usage: "measure --subscribers that read the log's end over and over beside others that read all before it from disk"},
		),
		category("DATA AND SUBSCRIBERS",
			sizeFlag("size", "`SIZE` of the data set; drain and cold", 256*mib, 1, tib),
			&cli.StringFlag{Name: "file", Usage: "`FILE` whose content is published in records, in place of noise; --size then caps it if it is given; drain and cold"},
			sizeFlag("record-size", "`SIZE` of each record", kib, 1, 512*mib),
			sizeFlag("batch-size", "`SIZE` of each record batch; not live (default: 256KiB, with --publish one record)", 256*kib, 100, gib),
			&cli.StringFlag{Name: "subscribers", Value: "10", Usage: "`N` subscribers, or except with --cold several numbers to be swept, as in 1,10,100; not publish"},
			&cli.StringFlag{Name: "transfer", Value: "all", Usage: "`MODE` of the server: auto, splice, send, sendfile or copy; several separated by commas, or all, except with --cold; not publish (default: all, with --cold auto)"},
			sizeFlag("fetch-size", "`SIZE` that one fetch asks for; drain and cold (default: 8MiB, with --cold 1MiB)", 8*mib, 4*kib, gib),
			&cli.BoolFlag{Name: "discard", Usage: "let the kernel throw payloads away in place of checking them; drain and cold"},
			&cli.StringFlag{Name: "ring-size", Usage: "submission entries `N` of the server, or several to be swept, as in 8,64,1024; drain and live (default: the server's)"},
		),
		category("ONLY DRAIN",
			&cli.IntFlag{Name: "stalled", Usage: "`N` more subscribers that read nothing for --stall, and then all of it, checked; everything is measured without and with them"},
			&cli.DurationFlag{Name: "stall", Value: 10 * time.Second, Usage: "`DURATION` for which stalled subscribers read nothing"},
			&cli.IntFlag{Name: "trickling", Usage: "`N` more subscribers that read one byte a second"},
			&cli.StringFlag{Name: "nginx", Usage: "`PATH` of an nginx that serves the same bytes to the same client by sendfile; auto takes the one in PATH. Needs --discard"},
		),
		category("ONLY LIVE AND PUBLISH",
			&cli.Float64Flag{Name: "rate", Value: 100, Usage: "`N` records published a second; live"},
			&cli.StringFlag{Name: "producers", Value: "1,32", Usage: "`N` producers, or several numbers to be swept; each has one batch under way; publish"},
			&cli.DurationFlag{Name: "duration", Value: 10 * time.Second, Usage: "`DURATION` of publishing for each row"},
		),
		category("ONLY COLD",
			sizeFlag("cold-cache", "`SIZE` of the server's --cold-cache, which is compared with none", 64*mib, 16*mib, tib),
			&cli.IntFlag{Name: "cold-readers", Value: 1, Usage: "`N` subscribers that read from the first record to the hot part, as fast as they can"},
			sizeFlag("hot-size", "`SIZE` of the hot part at the log's end (default: a quarter of --size)", 0, 1, tib),
			&cli.DurationFlag{Name: "hot-every", Value: 100 * time.Millisecond, Usage: "`DURATION` between two fetches of each hot reader"},
			&cli.DurationFlag{Name: "alone", Value: 2 * time.Second, Usage: "`DURATION` for which the hot readers read before the cold ones come; 0 for not at all"},
		),
		category("ONLY DRAIN AND LIVE: A SERVER THAT RUNS ALREADY",
			&cli.StringFlag{Name: "target", Usage: "`HOST:PORT` of a server that runs, in place of one of our own"},
			&cli.StringFlag{Name: "target-admin", Usage: "`HOST:PORT` of the target's admin pages, for its counters, if it is a oneplusn"},
			&cli.IntFlag{Name: "target-pid", Usage: "process id `N` of the target, for its CPU time, if it has no admin pages (default: none)"},
			&cli.StringFlag{Name: "topic", Usage: "`NAME` of the topic made on the target and removed afterwards (default: oneplusn-bench-<pid>)"},
		),
		category("RUNS AND RESULTS",
			&cli.IntFlag{Name: "runs", Value: 1, Usage: "`N` runs of each configuration, in turn; the table has medians and extremes"},
			&cli.IntFlag{Name: "threads", Usage: "`N` threads of the client; not publish (default: one per CPU, at most 4)"},
			&cli.StringFlag{Name: "dir", Usage: "`DIR` in which the temporary data directory is made (default: a place for temporary files that is on a disk)"},
			&cli.StringSliceFlag{Name: "serve-flag", Usage: "`NAME=VALUE` of a flag of oneplusn serve, for the servers started here; may be repeated"},
			&cli.StringFlag{Name: "json", Usage: "`FILE` that gets everything that was measured"},
			&cli.StringFlag{Name: "plot", Usage: "`FILE` (.svg, .png, .pdf) that gets a plot of the server's CPU time, with --publish of batches acknowledged a second; not cold"},
		),
	)...)
}
