package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"oneplusn/ring/probe"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "check what this host allows the server, and say what to change; exit 1 if the server cannot run",
		Flags: dataFlags("doctor-",
			within(1, 1<<30, &cli.IntFlag{Name: "subscribers", Value: 1000, Usage: "check the limits for `N` subscribers"}),
			&cli.BoolFlag{Name: "json", Usage: "print JSON instead of a table"},
		),
		Action: runDoctor,
	}
}

func runDoctor(c *cli.Context) error {
	report := probe.Run(c.String("data"), c.Int("subscribers"))
	if err := printReport(c, report, writeDoctorTable); err != nil {
		return err
	}
	if failed := report.Err(); failed != nil {
		return fmt.Errorf("doctor: %w", failed)
	}
	return nil
}

// writeDoctorTable prints one line for each check, and below the table what to do about those that failed.
func writeDoctorTable(w io.Writer, report probe.Report) error {
	table := newTable(w, "", "CHECK", "FOUND", "NEED")
	var advice strings.Builder
	for _, c := range report.Checks {
		table.row(doctorMark(c), c.Name, c.Found, c.Need)
		if !c.OK {
			fmt.Fprintf(&advice, "\n%s: %s\n  remedy: %s\n", c.Name, c.Cause, c.Remedy)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, advice.String())
	return err
}

func doctorMark(c probe.Check) string {
	switch {
	case c.OK:
		return "ok"
	case c.Fatal:
		return "FAIL"
	}
	return "warn"
}
