package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/urfave/cli/v2"

	"oneplusn/cmd/internal/bench"
	"oneplusn/cmd/internal/load"
	"oneplusn/cmd/internal/report"
)

const copiesDescription = `Publishes a data set to a server on a temporary directory and lets N subscribers read it in every way there
is, from a cold page cache. Every cell of the table is what the model predicts, beside what was counted: reads
from storage by the kernel, copies by the server as its operations completed, bytes received by the
subscribers, who check every batch.

The exit code is 1 if a counted cell disagrees with the model by more than 1 %.`

func copiesCommand() *cli.Command {
	return &cli.Command{
		Name:        "copies",
		Usage:       "count the copies of every way to move one log to N subscribers, and hold them against the model",
		Description: copiesDescription,
		Flags: named("copies-",
			sizeFlag("size", "`SIZE` of the data set", 256*mib, mib, 1024*gib),
			sizeFlag("record-size", "`SIZE` of each record", kib, 1, 512*mib),
			&cli.IntFlag{Name: "subscribers", Value: 10, Usage: "`N` subscribers"},
			&cli.StringFlag{Name: "file", Usage: "`FILE` whose content is published, in place of noise; --size then caps it if it is given"},
			&cli.StringFlag{Name: "dir", Usage: "`DIR` in which the temporary data directory is made (default: a place for temporary files that is on a disk)"},
			&cli.StringSliceFlag{Name: "serve-flag", Usage: "`NAME=VALUE` of a flag of oneplusn serve, for the servers started here; may be repeated"},
			&cli.StringFlag{Name: "json", Usage: "`FILE` that gets everything that was counted"},
		),
		Action: runCopies,
	}
}

// copiesBatchBytes is the size of the record batches, and copiesFetchBytes what one fetch asks for.
const (
	copiesBatchBytes = 256 << 10
	copiesFetchBytes = 8 << 20
)

func runCopies(c *cli.Context) error {
	n := c.Int("subscribers")
	if n < 1 || n > 1<<17 {
		return usageErrorf("--subscribers is %d, allowed are 1 to %d", n, 1<<17)
	}
	place, err := placeOf(c)
	if err != nil {
		return &usageError{err}
	}
	options := bench.CopyOptions{Data: dataSet(c, max(copiesBatchBytes, 2*int(sizeOf(c, "record-size")))),
		Reader: load.DrainOptions{Subscribers: n, FetchBytes: copiesFetchBytes, Threads: min(runtime.NumCPU(), 4)}}
	var layout *load.Layout
	rows, err := onSite(c, n, "subscribers", place, func(ctx context.Context, site *bench.Site) (rows []*report.CopyRow, err error) {
		rows, layout, err = site.Copies(ctx, options)
		return rows, err
	})
	if err != nil {
		return err
	}
	report.WriteCopies(c.App.Writer, rows, n, fmt.Sprintf("%.0f MiB in %d records", float64(layout.Bytes)/(1<<20), layout.Records))
	agrees := report.Explain(c.App.Writer, rows)
	report.WriteMeaning(c.App.Writer, n)
	if err := writeFiles(c, rows, nil); err != nil {
		return err
	}
	if !agrees {
		return errors.New("copies: what was counted disagrees with the model by more than 1 %")
	}
	return nil
}
