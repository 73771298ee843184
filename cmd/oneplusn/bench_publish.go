package main

import (
	"context"
	"errors"
	"slices"

	"github.com/urfave/cli/v2"

	"oneplusn/cmd/internal/bench"
	"oneplusn/cmd/internal/report"
	"oneplusn/fanout"
	"oneplusn/fanout/commit"
)

// planPublish reads the flags of --publish.
func planPublish(c *cli.Context) (o bench.PublishOptions, place bench.Place, err error) {
	o = bench.PublishOptions{
		Policies:    []string{commit.Fsync{}.String(), fanout.DefaultConfig().Fsync.String(), commit.Fsync{Always: true}.String()},
		RecordBytes: int(sizeOf(c, "record-size")), Duration: c.Duration("duration"),
	}
	if o.Duration <= 0 {
		return o, place, errors.New("--duration must be above 0")
	}
	if o.Runs, err = parseRuns(c); err != nil {
		return o, place, err
	}
	if o.Producers, err = parseCounts("producers", c.String("producers"), 10_000); err != nil {
		return o, place, err
	}
	const overhead = 160 // of a batch of one record
	if o.BatchBytes = o.RecordBytes + overhead; c.IsSet("batch-size") {
		o.BatchBytes = int(sizeOf(c, "batch-size"))
	}
	place.Parent = c.String("dir")
	if place.Flags, err = parseServeFlags(c.StringSlice("serve-flag")); err == nil && setsFlag(place.Flags, "fsync") {
		err = errors.New("--serve-flag fsync means nothing with --publish, which measures every policy")
	}
	return o, place, err
}

// benchPublish measures publishing in place of subscribing.
func benchPublish(c *cli.Context) error {
	o, place, err := planPublish(c)
	if err != nil {
		return &usageError{err}
	}
	var runs []*report.PublishRun
	err = onSite(c, slices.Max(o.Producers), "producers", place, func(ctx context.Context, site *bench.Site) (err error) {
		runs, err = site.Publish(ctx, o)
		return err
	})
	if err != nil {
		return err
	}
	report.WritePublish(c.App.Writer, runs)
	if path := c.String("json"); path != "" {
		if err := report.WriteJSON(path, runs); err != nil {
			return err
		}
	}
	if path := c.String("plot"); path != "" {
		return report.PlotPublish(path, runs)
	}
	return nil
}
