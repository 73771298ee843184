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
		RecordBytes: int(sizeOf(c, "record-size")), Duration: c.Duration("duration"), Runs: c.Int("runs"),
	}
	if o.Duration <= 0 {
		return o, place, errors.New("--duration must be above 0")
	}
	if o.Producers, err = parseCounts("producers", c.String("producers"), 10_000); err != nil {
		return o, place, err
	}
	const overhead = 160 // of a batch of one record
	if o.BatchBytes = o.RecordBytes + overhead; c.IsSet("batch-size") {
		o.BatchBytes = int(sizeOf(c, "batch-size"))
	}
	if place, err = placeOf(c); err == nil && setsFlag(place.Flags, "fsync") {
		err = errors.New("--serve-flag fsync does not apply to --publish, which measures every policy")
	}
	return o, place, err
}

// benchPublish measures publishing in place of subscribing.
func benchPublish(c *cli.Context) error {
	o, place, err := planPublish(c)
	if err != nil {
		return &usageError{err}
	}
	runs, err := onSite(c, slices.Max(o.Producers), "producers", place, func(ctx context.Context, site *bench.Site) ([]*report.PublishRun, error) {
		return site.Publish(ctx, o)
	})
	if err != nil {
		return err
	}
	report.WritePublish(c.App.Writer, runs)
	return writeFiles(c, runs, report.PlotPublish)
}
