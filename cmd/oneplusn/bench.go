package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"oneplusn/cmd/internal/bench"
	"oneplusn/cmd/internal/load"
	"oneplusn/cmd/internal/peer"
	"oneplusn/cmd/internal/report"
	"oneplusn/fanout/transfer"
	"oneplusn/ring"
)

func benchCommand() *cli.Command {
	return &cli.Command{
		Name:        "bench",
		Usage:       "benchmark a server: read throughput, latency, acknowledged publishing, and hot beside cold readers",
		Description: benchDescription,
		Flags:       benchFlags(),
		Action:      runBench,
	}
}

// planBench reads the flags of drain and live.
func planBench(c *cli.Context) (o bench.Sweep, place bench.Place, err error) {
	o = bench.Sweep{RingSizes: []int{0}, Nginx: c.String("nginx"), Runs: c.Int("runs"),
		Slow: load.SlowOptions{Stalled: c.Int("stalled"), Trickling: c.Int("trickling"), Stall: c.Duration("stall")}}
	if o.Modes, err = parseModes(c.String("transfer")); err != nil {
		return o, place, err
	}
	if o.Subscribers, err = parseCounts("subscribers", c.String("subscribers"), 1<<17); err != nil {
		return o, place, err
	}
	if text := c.String("ring-size"); text != "" {
		if o.RingSizes, err = parseCounts("ring-size", text, ring.MaxEntries); err != nil {
			return o, place, err
		}
	}
	if place, err = placeOf(c); err != nil {
		return o, place, err
	}
	if o.Slow.Stall < 0 {
		return o, place, errors.New("--stall must not be negative")
	}
	if err = checkTarget(c); err == nil && c.String("target") != "" {
		place.Target = &peer.Server{Kafka: c.String("target"), Admin: c.String("target-admin"), PID: c.Int("target-pid")}
		place.Topic = cmp.Or(c.String("topic"), fmt.Sprintf("oneplusn-bench-%d", os.Getpid()))
		o.Modes = []string{""} // its own
	}
	return o, place, err
}

// dataSet makes the data set of --size, --record-size and --file. A file is taken whole unless --size is given.
func dataSet(c *cli.Context, batchBytes int) bench.DataSet {
	data := bench.DataSet{Bytes: sizeOf(c, "size"), RecordBytes: int(sizeOf(c, "record-size")), BatchBytes: batchBytes, File: c.String("file")}
	if data.File != "" && !c.IsSet("size") {
		data.Bytes = 0
	}
	return data
}

func benchThreads(c *cli.Context) int {
	return cmp.Or(c.Int("threads"), min(runtime.NumCPU(), 4))
}

// checkTarget refuses flags that do not go with --target, or need it.
func checkTarget(c *cli.Context) error {
	target := c.String("target")
	switch {
	case c.String("nginx") != "" && (!c.Bool("discard") || target != "" || c.Bool("live")):
		return errors.New("--nginx needs --discard, and goes with neither --target nor --live")
	case target == "" && (c.IsSet("target-admin") || c.IsSet("target-pid") || c.IsSet("topic")):
		return errors.New("--target-admin, --target-pid and --topic need --target")
	case target != "" && (c.IsSet("transfer") || c.IsSet("ring-size") || c.IsSet("serve-flag") || c.IsSet("dir")):
		return errors.New("--transfer, --ring-size, --serve-flag and --dir apply to servers started here, not to the one of --target")
	case c.Bool("live") && (c.Float64("rate") <= 0 || c.Duration("duration") <= 0):
		return errors.New("--rate and --duration must be above 0")
	}
	return nil
}

func parseModes(text string) ([]string, error) {
	if text == "all" {
		// The baseline first.
		return []string{"copy", "sendfile", "send", "splice", "auto"}, nil
	}
	var modes []string
	for name := range strings.SplitSeq(text, ",") {
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
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 || n > max {
			return nil, fmt.Errorf("--%s %s: %q is not a number from 1 to %d", flag, text, field, max)
		}
		counts = append(counts, n)
	}
	return counts, nil
}

// placeOf reads the flags of servers that bench starts itself.
func placeOf(c *cli.Context) (bench.Place, error) {
	place := bench.Place{Parent: c.String("dir")}
	for _, text := range c.StringSlice("serve-flag") {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return place, fmt.Errorf("--serve-flag %q: write it as NAME=VALUE, as in pipe-size=64KiB", text)
		}
		name = strings.TrimLeft(name, "-")
		if flagNamed(serveCommand().Flags, name) == nil {
			return place, fmt.Errorf("--serve-flag %q: oneplusn serve has no flag --%s", text, name)
		}
		place.Flags = append(place.Flags, "--"+name+"="+value)
	}
	return place, nil
}

func runBench(c *cli.Context) error {
	scenario, err := scenarioOf(c)
	if err != nil {
		return err
	}
	if err := checkBenchFlags(c); err != nil {
		return &usageError{err}
	}
	return scenario.run(c)
}

// benchReaders measures subscribers that read a data set, or with --live wait for records.
func benchReaders(c *cli.Context) error {
	sweep, place, err := planBench(c)
	if err != nil {
		return &usageError{err}
	}
	runs, err := onSite(c, slices.Max(sweep.Subscribers), "subscribers", place, func(ctx context.Context, site *bench.Site) ([]*report.BenchRun, error) {
		if c.Bool("live") {
			return site.Live(ctx, bench.LiveOptions{Sweep: sweep, Threads: benchThreads(c), RecordBytes: int(sizeOf(c, "record-size")),
				Rate: c.Float64("rate"), Duration: c.Duration("duration")})
		}
		return site.Drain(ctx, bench.DrainOptions{Sweep: sweep, Data: dataSet(c, int(sizeOf(c, "batch-size"))), Reader: load.DrainOptions{
			FetchBytes: int(sizeOf(c, "fetch-size")), Discard: c.Bool("discard"), Threads: benchThreads(c)}})
	})
	if err != nil {
		return err
	}
	if c.Bool("live") {
		report.WriteLive(c.App.Writer, runs)
	} else {
		report.WriteBench(c.App.Writer, runs, transfer.Copy.String())
	}
	return writeFiles(c, runs, report.Plot)
}
