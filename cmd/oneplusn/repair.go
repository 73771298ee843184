package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"oneplusn/segment"
)

const repairDescription = `It does what its flags name and nothing else, to the partitions that are named. What it cuts off is
copied first, to a file beside the segment whose name ends with .cut. The server must be stopped.

Look at the directory with oneplusn check first. If another copy of the data exists, restoring the file
from there loses nothing; cutting does.`

func repairCommand() *cli.Command {
	return &cli.Command{
		Name:        "repair",
		Usage:       "cut damage out of logs, or write their indexes again, as told by flags",
		Description: repairDescription,
		Flags: dataFlags("repair-",
			&cli.StringSliceFlag{Name: "partition", Usage: "the `PARTITION` to repair, as its directory is named: orders-0; can be given several times"},
			&cli.BoolFlag{Name: "all", Usage: "repair every partition"},
			&cli.BoolFlag{Name: "cut-tail", Usage: "cut the last segment behind its last valid batch, if no valid batch lies behind the damage"},
			&cli.BoolFlag{Name: "cut-at-damage", Usage: "end the log before the first damage, whatever lies behind it: later segments are renamed to .cut"},
			&cli.BoolFlag{Name: "rebuild-indexes", Usage: "write .index and .timeindex of every segment again, and .txnindex where transactions were aborted"},
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
	unlock, err := segment.LockDataDir(d.path)
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
		_, err := fmt.Fprintln(c.App.Writer, "There was nothing to repair.")
		return err
	}
	return errors.Join(errs...)
}
