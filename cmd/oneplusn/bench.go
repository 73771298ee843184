package main

import (
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
		Usage:       "measure a server: subscribers that read, that wait, that are far behind; producers that wait",
		Description: benchDescription,
		Flags:       benchFlags(),
		Action:      runBench,
	}
}

// benchPlan is a command line of drain or live that was understood.
type benchPlan struct {
	sweep   bench.Sweep
	place   bench.Place
	threads int
}

func planBench(c *cli.Context) (p benchPlan, err error) {
	p.place = bench.Place{Parent: c.String("dir"), Topic: c.String("topic")}
	p.sweep = bench.Sweep{RingSizes: []int{0}, Nginx: c.String("nginx"),
		Slow: load.SlowOptions{Stalled: c.Int("stalled"), Trickling: c.Int("trickling"), Stall: c.Duration("stall")}}
	if p.sweep.Modes, err = parseModes(c.String("transfer")); err != nil {
		return p, err
	}
	if p.sweep.Subscribers, err = parseCounts("subscribers", c.String("subscribers"), 1<<17); err != nil {
		return p, err
	}
	if text := c.String("ring-size"); text != "" {
		if p.sweep.RingSizes, err = parseCounts("ring-size", text, ring.MaxEntries); err != nil {
			return p, err
		}
	}
	if p.place.Flags, err = parseServeFlags(c.StringSlice("serve-flag")); err != nil {
		return p, err
	}
	if c.Int("stalled") < 0 || c.Int("trickling") < 0 || c.Duration("stall") < 0 {
		return p, errors.New("--stalled, --trickling and --stall must not be negative")
	}
	if p.sweep.Runs, err = parseRuns(c); err != nil {
		return p, err
	}
	p.threads = benchThreads(c)
	if p.place.Topic == "" {
		p.place.Topic = fmt.Sprintf("oneplusn-bench-%d", os.Getpid())
	}
	return p, p.planTarget(c)
}

func benchDataSet(c *cli.Context) bench.DataSet {
	data := bench.DataSet{Bytes: sizeOf(c, "size"), RecordBytes: int(sizeOf(c, "record-size")),
		BatchBytes: int(sizeOf(c, "batch-size")), File: c.String("file")}
	if data.File != "" && !c.IsSet("size") {
		data.Bytes = 0
	}
	return data
}

func benchThreads(c *cli.Context) int {
	if n := c.Int("threads"); n > 0 {
		return n
	}
	return min(runtime.NumCPU(), 4)
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
		p.place.Target = &peer.Server{Kafka: target, Admin: c.String("target-admin"), PID: c.Int("target-pid")}
		p.sweep.Modes = []string{""} // its own
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
		name = strings.TrimLeft(name, "-")
		if flagNamed(serveCommand().Flags, name) == nil {
			return nil, fmt.Errorf("--serve-flag %q: oneplusn serve has no flag --%s", text, name)
		}
		flags = append(flags, "--"+name+"="+value)
	}
	return flags, nil
}

func runBench(c *cli.Context) error {
	scenario, err := scenarioOf(c)
	if err != nil {
		return err
	}
	if err := checkBenchFlags(c); err != nil {
		return &usageError{err}
	}
	switch scenario {
	case "publish":
		return benchPublish(c)
	case "cold":
		return benchCold(c)
	}
	plan, err := planBench(c)
	if err != nil {
		return &usageError{err}
	}
	var runs []*report.BenchRun
	err = onSite(c, slices.Max(plan.sweep.Subscribers), "subscribers", plan.place, func(ctx context.Context, site *bench.Site) (err error) {
		if scenario == "live" {
			runs, err = site.Live(ctx, bench.LiveOptions{Sweep: plan.sweep, Threads: plan.threads, RecordBytes: int(sizeOf(c, "record-size")),
				Rate: c.Float64("rate"), Duration: c.Duration("duration")})
		} else {
			runs, err = site.Drain(ctx, bench.DrainOptions{Sweep: plan.sweep, Data: benchDataSet(c), Reader: load.DrainOptions{
				FetchBytes: int(sizeOf(c, "fetch-size")), Discard: c.Bool("discard"), Threads: plan.threads}})
		}
		return err
	})
	if err != nil {
		return err
	}
	return writeBench(c, runs)
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

// interrupted replaces the errors of a scenario that a signal ended.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}
