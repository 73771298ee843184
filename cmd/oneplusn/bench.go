package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"oneplusn/cmd/internal/bench"
	"oneplusn/cmd/internal/load"
	"oneplusn/cmd/internal/report"
	"oneplusn/fanout/transfer"
	"oneplusn/ring"
)

const benchDescription = `Publishes a data set and lets N subscribers read all of it, in every transfer mode of this server or from
any other server that speaks the Kafka protocol:

   oneplusn bench --subscribers 100 --discard
   oneplusn bench --transfer splice --ring-size 8,64,1024
   oneplusn bench --live --rate 100 --subscribers 1000 --record-size 128
   oneplusn bench --publish --producers 1,32
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
With --runs these ratios are formed within each run, and their median is shown.`

func benchCommand() *cli.Command {
	return &cli.Command{
		Name:        "bench",
		Usage:       "run the load generator: N subscribers read a data set, or wait for records that are published at a pace",
		Description: benchDescription,
		Flags:       benchFlags(),
		Action:      runBench,
	}
}

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
		benchString("transfer", "all", "`MODE` to measure, several separated by commas, or all"),
		benchString("ring-size", "", "submission entries `N` of the server, or several to be swept, as in 8,64,1024 (default: the server's)"),
		benchSize("fetch-size", "`SIZE` that one fetch asks for", 8*mib, 4*kib, gib),
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

// benchPlan is a command line of bench that was understood.
type benchPlan struct {
	data        bench.DataSet
	modes       []string
	ringSizes   []int
	subscribers []int
	serveFlags  []string
	runs        int
	threads     int
	target      *load.Server
	topic       string
}

func planBench(c *cli.Context) (p benchPlan, err error) {
	if p.modes, err = parseModes(c.String("transfer")); err != nil {
		return p, err
	}
	if p.subscribers, err = parseCounts("subscribers", c.String("subscribers"), 1<<17); err != nil {
		return p, err
	}
	p.ringSizes = []int{0}
	if text := c.String("ring-size"); text != "" {
		if p.ringSizes, err = parseCounts("ring-size", text, ring.MaxEntries); err != nil {
			return p, err
		}
	}
	if p.serveFlags, err = parseServeFlags(c.StringSlice("serve-flag")); err != nil {
		return p, err
	}
	if c.Int("stalled") < 0 || c.Int("trickling") < 0 || c.Duration("stall") < 0 {
		return p, errors.New("--stalled, --trickling and --stall must not be negative")
	}
	if p.runs, err = parseRuns(c); err != nil {
		return p, err
	}
	if p.threads = c.Int("threads"); p.threads < 1 {
		p.threads = min(runtime.NumCPU(), 4)
	}
	p.data = bench.DataSet{Bytes: sizeOf(c, "size"), RecordBytes: int(sizeOf(c, "record-size")),
		BatchBytes: int(sizeOf(c, "batch-size")), File: c.String("file")}
	if p.data.File != "" && !c.IsSet("size") {
		p.data.Bytes = 0
	}
	p.topic = c.String("topic")
	if p.topic == "" {
		p.topic = fmt.Sprintf("oneplusn-bench-%d", os.Getpid())
	}
	return p, p.planTarget(c)
}

// planTarget reads the flags about a server that runs already, and refuses those that make no sense with or without one.
func (p *benchPlan) planTarget(c *cli.Context) error {
	target := c.String("target")
	switch {
	case c.String("nginx") != "" && (!c.Bool("discard") || target != "" || c.Bool("live")):
		return errors.New("--nginx serves a file to subscribers that discard it: it needs --discard, and neither --target nor --live")
	case target == "" && (c.IsSet("target-admin") || c.IsSet("target-pid") || c.IsSet("topic")):
		return errors.New("--target-admin, --target-pid and --topic are about the server of --target, which is not given")
	case target != "" && (c.IsSet("transfer") || c.IsSet("ring-size") || c.IsSet("serve-flag") || c.IsSet("dir")):
		return errors.New("--transfer, --ring-size, --serve-flag and --dir are for servers started here; the one of --target has its own")
	case c.Bool("live") && (c.Float64("rate") <= 0 || c.Duration("duration") <= 0):
		return errors.New("--rate and --duration must be above 0")
	}
	if target != "" {
		p.target = &load.Server{Kafka: target, Admin: c.String("target-admin"), PID: c.Int("target-pid")}
	}
	return nil
}

func parseModes(text string) ([]string, error) {
	var modes []string
	if text == "all" {
		// The yardstick first, then what is ours.
		return []string{"copy", "sendfile", "send", "splice", "auto"}, nil
	}
	for _, name := range strings.Split(text, ",") {
		mode, err := transfer.ParseMode(strings.TrimSpace(name))
		if err != nil {
			return nil, fmt.Errorf("--transfer: %w, several of them separated by commas, or all", err)
		}
		modes = append(modes, mode.String())
	}
	return modes, nil
}

// parseCounts reads one or more numbers, separated by commas.
func parseCounts(flag, text string, max int) ([]int, error) {
	var counts []int
	for _, field := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 || n > max {
			return nil, fmt.Errorf("--%s %s: %q is not a number from 1 to %d", flag, text, field, max)
		}
		counts = append(counts, n)
	}
	return counts, nil
}

func parseRuns(c *cli.Context) (int, error) {
	n := c.Int("runs")
	if n < 1 || n > 1000 {
		return 0, fmt.Errorf("--runs is %d, allowed are 1 to 1000", n)
	}
	return n, nil
}

func parseServeFlags(given []string) ([]string, error) {
	var flags []string
	for _, text := range given {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--serve-flag %q: write it as NAME=VALUE, as in pipe-size=64KiB", text)
		}
		flags = append(flags, "--"+strings.TrimLeft(name, "-"), value)
	}
	return flags, nil
}

func runBench(c *cli.Context) error {
	scenario, err := scenarioOf(c)
	if err != nil {
		return err
	}
	if scenario == "publish" {
		return benchPublish(c)
	}
	plan, err := planBench(c)
	if err != nil {
		return &usageError{err}
	}
	most := 0
	for _, n := range plan.subscribers {
		most = max(most, n)
	}
	if files := load.RaiseOpenFiles(); files < uint64(most)+64 {
		return fmt.Errorf("bench: %d subscribers need as many open files, the limit is %d: raise it with ulimit -n", most, files)
	}
	ctx, stop := signal.NotifyContext(c.Context, unix.SIGINT, unix.SIGTERM)
	defer stop()
	progress := load.NewProgress(c.App.ErrWriter)
	var runs []*report.BenchRun
	if plan.target != nil {
		runs, err = benchTarget(ctx, c, plan, progress)
	} else {
		runs, err = benchOwn(ctx, c, plan, progress)
	}
	if err != nil {
		return interrupted(ctx, err)
	}
	return writeBench(c, runs)
}

func benchOwn(ctx context.Context, c *cli.Context, p benchPlan, progress *load.Progress) (runs []*report.BenchRun, err error) {
	site, err := bench.NewSite(c.String("dir"), p.serveFlags, progress)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	if c.Bool("live") {
		return site.Live(ctx, p.live(c))
	}
	return site.Drain(ctx, p.drain(c))
}

func benchTarget(ctx context.Context, c *cli.Context, p benchPlan, progress *load.Progress) ([]*report.BenchRun, error) {
	if c.Bool("live") {
		return bench.LiveTarget(ctx, p.target, p.topic, p.live(c), progress)
	}
	return bench.DrainTarget(ctx, p.target, p.topic, p.drain(c), progress)
}

func (p *benchPlan) drain(c *cli.Context) bench.DrainOptions {
	return bench.DrainOptions{Data: p.data, Modes: p.modes, RingSizes: p.ringSizes, Subscribers: p.subscribers, Runs: p.runs,
		FetchBytes: int(sizeOf(c, "fetch-size")), Discard: c.Bool("discard"), Threads: p.threads, Nginx: c.String("nginx"),
		Slow: load.SlowOptions{Stalled: c.Int("stalled"), Trickling: c.Int("trickling"), Stall: c.Duration("stall")}}
}

func (p *benchPlan) live(c *cli.Context) bench.LiveOptions {
	return bench.LiveOptions{Modes: p.modes, RingSizes: p.ringSizes, Subscribers: p.subscribers, Runs: p.runs, Threads: p.threads,
		RecordBytes: p.data.RecordBytes, Rate: c.Float64("rate"), Duration: c.Duration("duration")}
}

// writeBench prints the table and writes the files that were asked for.
func writeBench(c *cli.Context, runs []*report.BenchRun) error {
	if c.Bool("live") {
		report.WriteLive(c.App.Writer, runs)
	} else {
		report.WriteBench(c.App.Writer, runs, transfer.Copy.String())
	}
	if path := c.String("json"); path != "" {
		if err := report.WriteJSON(path, runs); err != nil {
			return err
		}
	}
	if path := c.String("plot"); path != "" {
		return report.Plot(path, runs)
	}
	return nil
}

// interrupted says in one word what a scenario that a signal ended would say in many.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}
