package report

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"gonum.org/v1/plot/plotter"
)

// PlainWrites is the policy of the rows that are no server's: pwrite(2) and fdatasync(2) of each batch to a file.
const PlainWrites = "plain"

// PublishRun is one measurement of batches that were acknowledged one by one.
type PublishRun struct {
	// Run says in which turn it was, from 1 on: only measurements of one turn are compared.
	Run int `json:"run"`
	// Fsync is the server's policy, or [PlainWrites].
	Fsync     string  `json:"fsync"`
	Producers int     `json:"producers"`
	Batches   int64   `json:"batches"`
	Bytes     int64   `json:"bytes"`
	Seconds   float64 `json:"seconds"`
	// Latencies are from a batch's request to its acknowledgement.
	Latencies
	// Syncs are the server's group commits; nil where they are not counted.
	Syncs *int64 `json:"syncs,omitempty"`
}

// publishConfig is what they are grouped by.
type publishConfig struct {
	fsync     string
	producers int
}

func (r *PublishRun) config() publishConfig { return publishConfig{r.Fsync, r.Producers} }

// BatchesPerSecond is the rate of acknowledgements to all producers together.
func (r *PublishRun) BatchesPerSecond() float64 { return float64(r.Batches) / r.Seconds }

// ratios are the rates of runs of one configuration, each divided by that of another configuration in the same turn.
func ratios(runs, yardstick []*PublishRun) (of []float64) {
	base := make(map[int]float64)
	for _, r := range yardstick {
		base[r.Run] = r.BatchesPerSecond()
	}
	for _, r := range runs {
		if base[r.Run] > 0 {
			of = append(of, r.BatchesPerSecond()/base[r.Run])
		}
	}
	return of
}

func ratioText(runs, yardstick []*PublishRun) string {
	of := ratios(runs, yardstick)
	if len(of) == 0 {
		return "-"
	}
	return spread(of, "%.2f", func(ratio float64) float64 { return ratio })
}

// WritePublish prints the table of publishing: a line for each policy and number of producers, medians and spread over
// its runs. The last columns compare with one fdatasync for each batch, and with one producer under the same policy.
func WritePublish(out io.Writer, runs []*PublishRun) {
	configs, of := groupBy(runs, (*PublishRun).config)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "fsync\tproducers\tbatches/s\tMB/s\tp50 ms\tp99 ms\tmax ms\tbatches/sync\tto plain\tto 1 producer\t")
	for _, c := range configs {
		rs := of[c]
		_, _ = fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", c.fsync, c.producers,
			spread(rs, "%.0f", (*PublishRun).BatchesPerSecond),
			spread(rs, "%.1f", func(r *PublishRun) float64 { return float64(r.Bytes) / r.Seconds / 1e6 }),
			spread(rs, "%.2f", func(r *PublishRun) float64 { return r.P50Millis }),
			spread(rs, "%.2f", func(r *PublishRun) float64 { return r.P99Millis }),
			spread(rs, "%.2f", func(r *PublishRun) float64 { return r.MaxMillis }),
			perSyncText(rs), ratioText(rs, of[publishConfig{PlainWrites, 1}]), ratioText(rs, of[publishConfig{c.fsync, 1}]))
	}
	_ = w.Flush()
}

// perSyncText is how many batches one group commit covered. A server that never syncs has none, and a file no server.
func perSyncText(rs []*PublishRun) string {
	for _, r := range rs {
		if r.Syncs == nil || *r.Syncs == 0 {
			return "-"
		}
	}
	return spread(rs, "%.1f", func(r *PublishRun) float64 { return float64(r.Batches) / float64(*r.Syncs) })
}

// PlotPublish draws the rate of acknowledged batches, a bar for each policy and number of producers, to a file whose
// ending says the format: svg, png or pdf.
func PlotPublish(path string, runs []*PublishRun) error {
	configs, of := groupBy(runs, (*PublishRun).config)
	if len(configs) == 0 {
		return errors.New("report: there is nothing to plot")
	}
	values, names := make(plotter.Values, len(configs)), make([]string, len(configs))
	for i, c := range configs {
		values[i], _, _ = quantiles(of[c], (*PublishRun).BatchesPerSecond)
		names[i] = fmt.Sprintf("%s\n%d", c.fsync, c.producers)
	}
	return plotBars(path, "Acknowledged batches by --fsync and producers (median)", "batches per second", names, values)
}
