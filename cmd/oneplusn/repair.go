package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"oneplusn/segment"
)

const repairDescription = `Does only what its flags name, to the named partitions. It first copies what it cuts off to a file beside the
segment, whose name ends with .cut. The server must be stopped.

Run oneplusn check first. If there is another copy of the data, restore the file from it: that loses nothing,
while cutting loses records.`

func repairCommand() *cli.Command {
	return &cli.Command{
		Name:        "repair",
		Usage:       "cut damage out of logs, or rebuild their indexes",
		Description: repairDescription,
		Flags: dataFlags("repair-",
			&cli.StringSliceFlag{Name: "partition", Usage: "repair `PARTITION`, named like its directory, as in orders-0; may be repeated"},
			&cli.BoolFlag{Name: "all", Usage: "repair every partition"},
			&cli.BoolFlag{Name: "cut-tail", Usage: "cut the last segment after its last valid batch, if no valid batch follows the damage"},
			&cli.BoolFlag{Name: "cut-at-damage", Usage: "end the log before the first damage, even if valid batches follow; later segments are renamed to .cut"},
			&cli.BoolFlag{Name: "rebuild-indexes", Usage: "rebuild .index and .timeindex of every segment, and .txnindex where transactions were aborted"},
		),
		Action: runRepair,
	}
}

func runRepair(c *cli.Context) error {
	what := segment.Repairs{CutTail: c.Bool("cut-tail"), CutAtDamage: c.Bool("cut-at-damage"), RebuildIndexes: c.Bool("rebuild-indexes")}
	if what == (segment.Repairs{}) {
		return usageErrorf("repair does nothing by itself: give --cut-tail, --cut-at-damage or --rebuild-indexes")
	}
	wanted := c.StringSlice("partition")
	if (len(wanted) > 0) == c.Bool("all") {
		return usageErrorf("name the partitions to repair with --partition, or give --all")
	}
	d, err := openDataDir(c.String("data"), wanted)
	if err != nil {
		return err
	}
	unlock, err := segment.LockDataDir(segment.OS, d.path)
	if err != nil {
		return err
	}
	defer unlock()
	show, clear := readProgress(c, "reading")
	var errs []error
	actions := 0
	for _, name := range d.partitions {
		done, err := segment.Repair(filepath.Join(d.path, name), segment.Options{}, d.found(name), what, show(name))
		clear()
		for _, r := range done {
			if _, err := fmt.Fprintf(c.App.Writer, "%s: %s\n", r.File, r.What); err != nil {
				return fmt.Errorf("repair: writing the report: %w", err)
			}
		}
		actions += len(done)
		if err != nil {
			errs = append(errs, fmt.Errorf("repair: %s: %w", name, err))
		}
	}
	if actions == 0 && len(errs) == 0 {
		_, err := fmt.Fprintln(c.App.Writer, "nothing to repair")
		return err
	}
	return errors.Join(errs...)
}
