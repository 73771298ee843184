package main

import (
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"oneplusn/fanout/flags"
)

const benchDescription = `Four scenarios. Drain and live also measure other servers that speak the Kafka protocol (--target).

   oneplusn bench --subscribers 100 --discard
   oneplusn bench --transfer splice --ring-size 8,64,1024
   oneplusn bench --target 127.0.0.1:9092 --target-pid $(pgrep -f kafka.Kafka)
   oneplusn bench --live --rate 100 --subscribers 1000 --record-size 128
   oneplusn bench --publish --producers 1,32
   oneplusn bench --cold --size 2GiB --hot-size 256MiB

Without --target it starts its own servers as child processes on a temporary directory, so that their CPU time
counts separately. They take ONEPLUSN_* variables and --serve-flag. With --runs each figure is the median of the
runs, followed by the extremes. CPU time is user and system time, kernel workers included.

DRAIN, the default: N subscribers read a whole data set, in every transfer mode. They check what they get
(CRC32C of every batch, offsets without a gap). With --discard the kernel drops the payload (MSG_TRUNC), so
that the client is not the bottleneck; then they check the byte count only.

   GB/s             to all subscribers together
   server s CPU/GB  seconds of server CPU time for each GB delivered; "vs copy" is the ratio to mode copy
   client s CPU/GB  the same for the load generator
   p50, p99 ms      time that a subscriber took to read everything
   CPU copies       bytes that the CPU copied, and bytes handed on by reference, as the server counted
   by reference     them; 1 is the data set once
   queued           operations that waited because the ring was full
   pipes            most pipes that held bytes at once, of how many there may be
   anon MB          resident memory of the server, without the page cache that it maps

LIVE, --live: N subscribers wait, and every published record goes to all of them. p50 to max are the times from
the publish to the arrival at a subscriber. "late" counts the records that the load generator published later
than planned by more than the time between two records.

PUBLISH, --publish: producers wait for each acknowledgement (acks=all), under each --fsync policy. p50 to max are
the times from a batch's request to its acknowledgement; batches/sync is the number that one fdatasync covers.
"to plain" is the ratio to a plain pwrite and fdatasync for each batch, "to 1 producer" the ratio to one producer
under the same policy. Each run has its own ratios; the table shows their median.

COLD, --cold: --subscribers hot readers fetch the end of the log (--hot-size) again and again, every --hot-every,
while --cold-readers read everything before it from disk. It measures once with the page cache left to the
kernel, and once with the server's --cold-cache.

   cold MB/s        to all cold readers together
   hot cached %     share of the hot part in the page cache, the least and at the end
   cold cached MiB  size of the cold part in the page cache, the most and at the end
   disk MiB         bytes that the server read from disk
   hot, alone ms    time of a hot reader's fetch beside the cold readers, and without them

While memory is not short, the kernel evicts nothing and both measure alike. So limit the memory of the benchmark
and of its servers:

   sudo systemd-run --scope -p MemoryMax=512M oneplusn bench --cold --size 2GiB --hot-size 256MiB

or enter a cgroup by hand in a root shell, and run the benchmark from that shell. With cgroup version 2:

   mkdir /sys/fs/cgroup/bench; echo 512M > /sys/fs/cgroup/bench/memory.max
   echo $$ > /sys/fs/cgroup/bench/cgroup.procs

With version 1:

   mkdir /sys/fs/cgroup/memory/bench; echo 512M > /sys/fs/cgroup/memory/bench/memory.limit_in_bytes
   echo $$ > /sys/fs/cgroup/memory/bench/cgroup.procs`

// benchFlags begin with the scenarios; the flags of several scenarios come before those of one.
func benchFlags() []cli.Flag {
	return named("bench-", slices.Concat(
		category("SCENARIO",
			&cli.BoolFlag{Name: "live", Usage: "publish at a fixed rate to subscribers that wait, and report latencies"},
			&cli.BoolFlag{Name: "publish", Usage: "measure publishing with acks=all under each --fsync policy, and plain pwrite and fdatasync of the same bytes"},
			&cli.BoolFlag{Name: "cold", Usage: "measure --subscribers that read the log's end again and again beside others that read the rest from disk"},
		),
		category("DATA AND SUBSCRIBERS",
			sizeFlag("size", "`SIZE` of the data set; drain and cold", 256*flags.MiB, 1, flags.TiB),
			&cli.StringFlag{Name: "file", Usage: "publish the content of `FILE` instead of noise, up to --size if that is given; drain and cold"},
			sizeFlag("record-size", "`SIZE` of each record", flags.KiB, 1, 512*flags.MiB),
			sizeFlag("batch-size", "`SIZE` of each record batch; not live (default: 256KiB, with --publish one record)", 256*flags.KiB, 100, flags.GiB),
			&cli.StringFlag{Name: "subscribers", Value: "10", Usage: "`N` subscribers, or several numbers to measure in turn, as in 1,10,100 (one with --cold); not publish"},
			&cli.StringFlag{Name: "transfer", Value: "all", Usage: "transfer `MODE` of the server: auto, splice, send, sendfile or copy; several separated by commas, or all (one with --cold); not publish (default: all, with --cold auto)"},
			sizeFlag("fetch-size", "fetch at most `SIZE` at a time; drain and cold (default: 8MiB, with --cold 1MiB)", 8*flags.MiB, 4*flags.KiB, flags.GiB),
			&cli.BoolFlag{Name: "discard", Usage: "let the kernel drop payloads instead of checking them; drain and cold"},
			&cli.StringFlag{Name: "ring-size", Usage: "`N` submission queue entries of the server, or several numbers to measure in turn, as in 8,64,1024; drain and live (default: the server's)"},
		),
		category("ONLY DRAIN",
			within(0, 1<<17, &cli.IntFlag{Name: "stalled", Usage: "add `N` subscribers that read nothing for --stall and then everything, checked; measures without and with them"}),
			&cli.DurationFlag{Name: "stall", Value: 10 * time.Second, Usage: "let stalled subscribers read nothing for `DURATION`"},
			within(0, 1<<17, &cli.IntFlag{Name: "trickling", Usage: "add `N` subscribers that read one byte a second"}),
			&cli.StringFlag{Name: "nginx", Usage: "compare with the nginx at `PATH`, which serves the same bytes by sendfile; auto finds it in $PATH; needs --discard"},
		),
		category("ONLY LIVE AND PUBLISH",
			&cli.Float64Flag{Name: "rate", Value: 100, Usage: "publish `N` records a second; live"},
			&cli.StringFlag{Name: "producers", Value: "1,32", Usage: "`N` producers with one batch under way each, or several numbers to measure in turn; publish"},
			&cli.DurationFlag{Name: "duration", Value: 10 * time.Second, Usage: "publish for `DURATION` for each row of the table"},
		),
		category("ONLY COLD",
			sizeFlag("cold-cache", "compare a server's --cold-cache of `SIZE` with none", 64*flags.MiB, 16*flags.MiB, flags.TiB),
			within(1, 10_000, &cli.IntFlag{Name: "cold-readers", Value: 1, Usage: "let `N` subscribers read from the first record to the hot part, as fast as they can"}),
			sizeFlag("hot-size", "`SIZE` of the hot part at the log's end (default: a quarter of --size)", 0, 1, flags.TiB),
			&cli.DurationFlag{Name: "hot-every", Value: 100 * time.Millisecond, Usage: "let each hot reader fetch every `DURATION`"},
			&cli.DurationFlag{Name: "alone", Value: 2 * time.Second, Usage: "let the hot readers read alone for `DURATION` first; 0 to skip that"},
		),
		category("ONLY DRAIN AND LIVE: A RUNNING SERVER",
			&cli.StringFlag{Name: "target", Usage: "measure the running server at `HOST:PORT` instead of starting one"},
			&cli.StringFlag{Name: "target-admin", Usage: "read the counters of a oneplusn target from its admin pages at `HOST:PORT`"},
			&cli.IntFlag{Name: "target-pid", Usage: "measure the CPU time of process `N`, for a target without admin pages (default: none)"},
			&cli.StringFlag{Name: "topic", Usage: "create topic `NAME` on the target, and delete it afterwards (default: oneplusn-bench-<pid>)"},
		),
		category("RUNS AND RESULTS",
			within(1, 1000, &cli.IntFlag{Name: "runs", Value: 1, Usage: "measure each configuration `N` times, in turn; the table shows medians and extremes"}),
			within(0, 1024, &cli.IntFlag{Name: "threads", Usage: "use `N` threads in the client; not publish (default: one per CPU, at most 4)"}),
			&cli.StringFlag{Name: "dir", Usage: "make the temporary data directory in `DIR` (default: a directory for temporary files on a disk)"},
			&cli.StringSliceFlag{Name: "serve-flag", Usage: "start servers with flag `NAME=VALUE` of oneplusn serve, as in pipe-size=64KiB; may be repeated"},
			&cli.StringFlag{Name: "json", Usage: "write all measurements to `FILE` as JSON"},
			&cli.StringFlag{Name: "plot", Usage: "plot the server's CPU time, with --publish the batches acknowledged a second, to `FILE` (.svg, .png, .pdf); not cold"},
		),
	)...)
}
