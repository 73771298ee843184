package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"oneplusn/cmd/internal/bench"
	"oneplusn/cmd/internal/host"
	"oneplusn/cmd/internal/load"
	"oneplusn/cmd/internal/report"
	"oneplusn/fanout/flags"
	"oneplusn/fanout/transfer"
)

// coldFetchBytes is the default of --fetch-size with --cold: that of Kafka's consumer (max.partition.fetch.bytes).
const coldFetchBytes = 1 << 20

// planCold reads the flags of --cold.
func planCold(c *cli.Context) (o bench.ColdOptions, place bench.Place, err error) {
	o = bench.ColdOptions{Data: dataSet(c, int(sizeOf(c, "batch-size"))), ColdReaders: c.Int("cold-readers"), Runs: c.Int("runs"),
		Every: c.Duration("hot-every"), Alone: c.Duration("alone"),
		Reader: load.DrainOptions{FetchBytes: coldFetchBytes, Discard: c.Bool("discard"), Threads: benchThreads(c)},
		Mode:   transfer.Auto.String(), CacheBytes: sizeOf(c, "cold-cache"), MemoryBytes: host.MemoryLimit()}
	if c.IsSet("fetch-size") {
		o.Reader.FetchBytes = int(sizeOf(c, "fetch-size"))
	}
	counts, err := parseCounts("subscribers", c.String("subscribers"), 10_000)
	if err != nil {
		return o, place, err
	}
	o.HotReaders = counts[0]
	if place, err = placeOf(c); err != nil {
		return o, place, err
	}
	if c.IsSet("transfer") {
		modes, err := parseModes(c.String("transfer"))
		if err != nil {
			return o, place, err
		}
		if o.Mode = modes[0]; len(modes) > 1 || o.Mode == transfer.Sendfile.String() {
			return o, place, errors.New("--cold takes one --transfer, but not sendfile, which leaves the page cache to the kernel")
		}
	}
	if o.HotBytes = sizeOf(c, "hot-size"); o.HotBytes == 0 {
		o.HotBytes = o.Data.Bytes / 4
	}
	return o, place, checkCold(&o, len(counts), place.Flags)
}

// checkCold refuses options that no measurement fits.
func checkCold(o *bench.ColdOptions, counts int, serveFlags []string) error {
	switch batch := int64(o.Data.BatchBytes); {
	case o.Data.Bytes == 0:
		return errors.New("--cold needs --size, with --file too")
	case o.HotBytes < batch || o.Data.Bytes-o.HotBytes < batch:
		return fmt.Errorf("--hot-size %s of --size %s leaves less than one batch of %s to hot or cold readers",
			flags.FormatSize(o.HotBytes), flags.FormatSize(o.Data.Bytes), flags.FormatSize(batch))
	case counts > 1:
		return errors.New("--cold takes one number of --subscribers")
	case o.Every < time.Millisecond:
		return fmt.Errorf("--hot-every is %v, allowed is 1ms or more", o.Every)
	case o.Alone < 0:
		return errors.New("--alone must not be negative")
	case setsFlag(serveFlags, "cold-cache"):
		return errors.New("--serve-flag cold-cache does not apply to --cold, which measures both without and with --cold-cache")
	}
	return nil
}

// benchCold measures hot readers beside cold ones.
func benchCold(c *cli.Context) error {
	o, place, err := planCold(c)
	if err != nil {
		return &usageError{err}
	}
	runs, err := onSite(c, o.HotReaders+o.ColdReaders, "subscribers", place, func(ctx context.Context, site *bench.Site) ([]*report.ColdRun, error) {
		return site.Cold(ctx, o)
	})
	if err != nil {
		return err
	}
	report.WriteCold(c.App.Writer, runs)
	return writeFiles(c, runs, nil)
}
