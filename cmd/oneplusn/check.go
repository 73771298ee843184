package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"oneplusn/cmd/internal/report"
	"oneplusn/fanout/catalog"
	"oneplusn/segment"
)

const checkDescription = `Reads every byte of every log and compares the indexes with it. Changes nothing. Stop the server first: a batch
that is being written looks torn.

The states of a partition, and what the server does with it when it starts:

   ok        serves it as it is
   rebuild   rebuilds its indexes
   torn      cuts the torn or holed end that a crash left; no record there was acknowledged as durable
   damaged   refuses it, or serves aborted records if only a .txnindex is wrong: see the reason below the
             table, and oneplusn repair --help

The exit code is 1 if a partition is damaged.`

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:        "check",
		Usage:       "check the logs of a data directory without changing them; exit 1 if one is damaged",
		Description: checkDescription,
		Flags: dataFlags("check-",
			&cli.StringSliceFlag{Name: "partition",
				Usage: "check only `PARTITION`, named like its directory, as in orders-0; may be repeated"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON instead of a table"},
		),
		Action: runCheck,
	}
}

// dataFlags adds --data to the flags of a command.
func dataFlags(prefix string, more ...cli.Flag) []cli.Flag {
	data := named("", &cli.StringFlag{Name: "data", Value: "oneplusn-data", Usage: "directory `DIR` of the logs"})
	return append(data, named(prefix, more...)...)
}

// dataDir is a data directory without a server.
type dataDir struct {
	path       string
	clean      bool
	starts     map[string]int64
	points     catalog.RecoveryPoints
	unreadable []error // checkpoint files; the server starts without them
	partitions []string
}

// openDataDir reads the checkpoints of a data directory. wanted narrows the partitions.
func openDataDir(path string, wanted []string) (dataDir, error) {
	d := dataDir{path: path, partitions: wanted}
	all, err := segment.Partitions(segment.OS, path)
	if errors.Is(err, fs.ErrNotExist) {
		return d, usageErrorf("--data %s: no such directory", path)
	}
	if err != nil {
		return d, err
	}
	for _, name := range wanted {
		if !slices.Contains(all, name) {
			return d, usageErrorf("--partition %s: %s has no such partition", name, path)
		}
	}
	if len(wanted) == 0 {
		d.partitions = all
	}
	if d.clean, err = segment.HasCleanMark(segment.OS, path); err != nil {
		return d, err
	}
	if d.starts, err = segment.ReadCheckpoint(segment.OS, filepath.Join(path, segment.LogStartFile)); err != nil {
		d.unreadable = append(d.unreadable, err)
	}
	if d.points, err = catalog.ReadRecoveryPoints(segment.OS, path); err != nil {
		d.unreadable = append(d.unreadable, err)
	}
	return d, nil
}

func (d dataDir) found(partition string) segment.OpenOptions {
	return segment.OpenOptions{Clean: d.clean, LogStartOffset: d.starts[partition], RecoveryPoint: d.points.Of(partition)}
}

// readProgress reports on standard error how much was read.
func readProgress(c *cli.Context, what string) (show func(partition string) func(int64), clear func()) {
	p := report.NewProgress(c.App.ErrWriter)
	p.Begin()
	total := int64(0)
	return func(partition string) func(int64) {
		return func(n int64) {
			total += n
			p.Show("%s %s: %d MiB read", what, partition, total>>20)
		}
	}, p.Clear
}

// checkReport is the document that --json prints.
type checkReport struct {
	Data       string           `json:"data"`
	CleanStop  bool             `json:"clean_stop"`
	State      segment.State    `json:"state"`
	Partitions []segment.Report `json:"partitions"`
}

func runCheck(c *cli.Context) error {
	d, err := openDataDir(c.String("data"), c.StringSlice("partition"))
	if err != nil {
		return err
	}
	report := checkReport{Data: d.path, CleanStop: d.clean, State: segment.StateOK, Partitions: []segment.Report{}}
	show, clear := readProgress(c, "checking")
	damaged := 0
	for _, name := range d.partitions {
		r, err := segment.Check(filepath.Join(d.path, name), segment.Options{}, d.found(name), show(name))
		if err != nil {
			return fmt.Errorf("check: %w", err)
		}
		if r.State == segment.StateDamaged {
			damaged++
		}
		report.State = report.State.Worst(r.State)
		report.Partitions = append(report.Partitions, r)
	}
	clear()
	for _, err := range d.unreadable {
		fmt.Fprintf(c.App.ErrWriter, "oneplusn: warning: %v\n", err)
	}
	if err := printReport(c, report, writeCheckTable); err != nil {
		return err
	}
	if damaged > 0 {
		return fmt.Errorf("check: %d of %d partitions are damaged", damaged, len(report.Partitions))
	}
	return nil
}

// writeCheckTable prints one line for each partition, and below the table what is wrong with which file.
func writeCheckTable(w io.Writer, report checkReport) error {
	table := newTable(w, "PARTITION", "STATE", "START", "END", "BYTES", "SEGMENTS")
	for _, r := range report.Partitions {
		table.row(filepath.Base(r.Directory), r.State, r.LogStartOffset, r.LogEndOffset, r.Bytes, len(r.Segments))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range report.Partitions {
		for _, s := range r.Segments {
			if s.State == segment.StateOK {
				continue
			}
			fmt.Fprintf(w, "\n%s: %s (%s), %d of %d bytes are valid, up to offset %d\n  reason: %s\n",
				s.File, s.State, s.Case, s.ValidBytes, s.Bytes, s.NextOffset, s.Reason)
		}
		for _, problem := range r.Problems {
			fmt.Fprintf(w, "\n%s\n", problem)
		}
	}
	stop := "No clean stop is recorded: the next start scans the last segment of each partition."
	if report.CleanStop {
		stop = "The last stop was clean: the next start scans nothing."
	}
	_, err := fmt.Fprintf(w, "\n%s\n", stop)
	return err
}
