package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
)

// table aligns rows in columns. Flush prints it.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer, heading ...string) table {
	t := table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	fmt.Fprintln(t, strings.Join(heading, "\t"))
	return t
}

// row prints a dash for an empty cell.
func (t table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = cmp.Or(fmt.Sprint(cell), "-")
	}
	fmt.Fprintln(t, strings.Join(texts, "\t"))
}

// printReport prints a report as JSON with --json, and as a table without.
func printReport[T any](c *cli.Context, report T, writeTable func(io.Writer, T) error) error {
	var err error
	if c.Bool("json") {
		encoder := json.NewEncoder(c.App.Writer)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		err = writeTable(c.App.Writer, report)
	}
	if err != nil {
		return fmt.Errorf("%s: writing the report: %w", c.Command.Name, err)
	}
	return nil
}

// counted formats a number of things: 1 record, 2 records.
func counted(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// oneLine joins the lines of an error, so that one failure is one line in a log.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
