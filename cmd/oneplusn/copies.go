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
	"oneplusn/fanout/flags"
)

const copiesDescription = `Publishes a data set to a server on a temporary directory. N subscribers read it in every transfer mode, from a
cold page cache, and check every batch. Each cell of the table shows the model's prediction beside the count:
the kernel counts reads from storage, the server copies as its operations complete, the subscribers bytes.

The exit code is 1 if a count differs from the model by more than 1 %.`

func copiesCommand() *cli.Command {
	return &cli.Command{
		Name:        "copies",
		Usage:       "count how often each transfer mode copies the data for N subscribers, and compare with the model",
		Description: copiesDescription,
		Flags: named("copies-",
			sizeFlag("size", "`SIZE` of the data set", 256*flags.MiB, flags.MiB, 1024*flags.GiB),
			sizeFlag("record-size", "`SIZE` of each record", flags.KiB, 1, 512*flags.MiB),
			within(1, 1<<17, &cli.IntFlag{Name: "subscribers", Value: 10, Usage: "let `N` subscribers read"}),
			&cli.StringFlag{Name: "file", Usage: "publish the content of `FILE` instead of noise, up to --size if that is given"},
			&cli.StringFlag{Name: "dir", Usage: "make the temporary data directory in `DIR` (default: a directory for temporary files on a disk)"},
			&cli.StringSliceFlag{Name: "serve-flag", Usage: "start servers with flag `NAME=VALUE` of oneplusn serve, as in pipe-size=64KiB; may be repeated"},
			&cli.StringFlag{Name: "json", Usage: "write all counts to `FILE` as JSON"},
		),
		Action: runCopies,
	}
}

// copiesBatchBytes is the size of a record batch, copiesFetchBytes that of a fetch.
const (
	copiesBatchBytes = 256 << 10
	copiesFetchBytes = 8 << 20
)

func runCopies(c *cli.Context) error {
	n := c.Int("subscribers")
	place, err := placeOf(c)
	if err != nil {
		return &usageError{err}
	}
	data := dataSet(c, max(copiesBatchBytes, 2*int(sizeOf(c, "record-size"))))
	reader := load.DrainOptions{Subscribers: n, FetchBytes: copiesFetchBytes, Threads: min(runtime.NumCPU(), 4)}
	var layout *load.Layout
	rows, err := onSite(c, n, "subscribers", place, func(ctx context.Context, site *bench.Site) (rows []*report.CopyRow, err error) {
		rows, layout, err = site.Copies(ctx, data, reader)
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
		return errors.New("copies: a count differs from the model by more than 1 %")
	}
	return nil
}
