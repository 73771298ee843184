package report

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Latencies are the quantiles of one measurement.
type Latencies struct {
	P50Millis  float64 `json:"p50_millis"`
	P99Millis  float64 `json:"p99_millis"`
	P999Millis float64 `json:"p999_millis"`
	MaxMillis  float64 `json:"max_millis"`
}

// groupBy groups the runs of each configuration, in the order in which the configurations first came.
func groupBy[K comparable, R any](runs []R, configuration func(R) K) (groups [][]R) {
	at := make(map[K]int)
	for _, r := range runs {
		i, known := at[configuration(r)]
		if !known {
			i = len(groups)
			at[configuration(r)] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}

// column is a column of a table, with a cell for all runs of one configuration.
type column[R any] struct {
	title string
	cell  func(runs []R) string
}

// writeTable prints a line for each configuration.
func writeTable[R any](out io.Writer, configurations [][]R, columns []column[R]) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, c := range columns {
		_, _ = fmt.Fprint(w, c.title, "\t")
	}
	for _, runs := range configurations {
		_, _ = fmt.Fprintln(w)
		for _, c := range columns {
			_, _ = fmt.Fprint(w, c.cell(runs), "\t")
		}
	}
	_, _ = fmt.Fprintln(w)
	_ = w.Flush()
}

// figure is a column with the median and the extremes of a figure.
func figure[R any](title, format string, of func(R) float64) column[R] {
	return column[R]{title, func(runs []R) string { return spread(runs, format, of) }}
}

// last is a column with the value of the last run.
func last[R, V any](title string, of func(R) V) column[R] {
	return column[R]{title, func(runs []R) string { return fmt.Sprint(of(runs[len(runs)-1])) }}
}

// onlyIf replaces the cells of configurations whose first run has no such value.
func (c column[R]) onlyIf(has func(R) bool, otherwise string) column[R] {
	return column[R]{c.title, func(runs []R) string {
		if !has(runs[0]) {
			return otherwise
		}
		return c.cell(runs)
	}}
}

// spread is the median of a figure over runs, with the extremes if there are several runs.
func spread[R any](runs []R, format string, figure func(R) float64) string {
	median, low, high := quantiles(runs, figure)
	text := fmt.Sprintf(format, median)
	if len(runs) > 1 {
		text += fmt.Sprintf(" ("+format+"-"+format+")", low, high)
	}
	return text
}

func quantiles[R any](runs []R, figure func(R) float64) (median, low, high float64) {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = figure(r)
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2, values[0], values[n-1]
}
