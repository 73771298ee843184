package main

import (
	"errors"
	"fmt"
	"io"
	"os/signal"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"oneplusn/cmd/internal/bench"
	"oneplusn/cmd/internal/load"
	"oneplusn/fanout"
)

// benchPublish measures publishing in place of subscribing.
func benchPublish(c *cli.Context) (err error) {
	o := bench.PublishOptions{
		Policies:    []string{fanout.Fsync{}.String(), fanout.DefaultConfig().Fsync.String(), fanout.Fsync{Always: true}.String()},
		RecordBytes: int(sizeOf(c, "record-size")), Duration: c.Duration("duration"),
	}
	if c.IsSet("target") || c.Bool("live") {
		return usageErrorf("--publish measures servers that it starts, one for each fsync policy: it goes with neither --target nor --live")
	}
	if o.Duration <= 0 {
		return usageErrorf("--duration must be above 0")
	}
	if o.Producers, err = parseCounts("producers", c.String("producers"), 10_000); err != nil {
		return &usageError{err}
	}
	const overhead = 160 // of a batch of one record
	if o.BatchBytes = o.RecordBytes + overhead; c.IsSet("batch-size") {
		o.BatchBytes = int(sizeOf(c, "batch-size"))
	}
	flags, err := parseServeFlags(c.StringSlice("serve-flag"))
	if err != nil {
		return &usageError{err}
	}
	ctx, stop := signal.NotifyContext(c.Context, unix.SIGINT, unix.SIGTERM)
	defer stop()
	site, err := bench.NewSite(c.String("dir"), flags, load.NewProgress(c.App.ErrWriter))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	runs, err := site.Publish(ctx, o)
	if err != nil {
		return interrupted(ctx, err)
	}
	return writePublish(c.App.Writer, runs)
}

// writePublish prints a table. The last column compares with one fdatasync for each batch.
func writePublish(out io.Writer, runs []*bench.PublishRun) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "fsync\tproducers\tbatches/s\tMB/s\tp50 ms\tp99 ms\tmax ms\tbatches/sync\tto plain\t")
	plain := 0.0
	for _, r := range runs {
		rate := float64(r.Batches) / r.Seconds
		if r.Syncs < 0 {
			plain = rate
		}
		perSync := "-"
		if r.Syncs > 0 {
			perSync = fmt.Sprintf("%.1f", float64(r.Batches)/float64(r.Syncs))
		}
		ms := func(nanos int64) float64 { return float64(nanos) / float64(time.Millisecond) }
		_, _ = fmt.Fprintf(t, "%s\t%d\t%.0f\t%.1f\t%.2f\t%.2f\t%.2f\t%s\t%.1fx\t\n", r.What, r.Producers, rate,
			float64(r.Bytes)/r.Seconds/1e6, ms(r.Latency.ValueAtQuantile(50)), ms(r.Latency.ValueAtQuantile(99)), ms(r.Latency.Max()),
			perSync, rate/plain)
	}
	return t.Flush()
}
