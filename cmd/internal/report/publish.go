package report

import (
	"fmt"
	"io"
)

// PlainWrites is the policy of rows without a server: pwrite(2) and fdatasync(2) of each batch to a file.
const PlainWrites = "plain"

// PublishRun is one measurement of producers that send one batch at a time.
type PublishRun struct {
	// Run counts from 1. Only measurements of the same run are compared.
	Run int `json:"run"`
	// Fsync is the server's policy, or [PlainWrites].
	Fsync     string  `json:"fsync"`
	Producers int     `json:"producers"`
	Batches   int64   `json:"batches"`
	Bytes     int64   `json:"bytes"`
	Seconds   float64 `json:"seconds"`
	// Latencies are from a batch's request to its acknowledgement.
	Latencies
	// Syncs counts the server's group commits; nil if they are not counted.
	Syncs *int64 `json:"syncs,omitempty"`
}

func (r *PublishRun) config() config { return config{name: r.Fsync, count: r.Producers} }

// BatchesPerSecond is the rate of acknowledgements to all producers together.
func (r *PublishRun) BatchesPerSecond() float64 { return float64(r.Batches) / r.Seconds }

// ratioText divides the rate of each run by that of one producer under a policy in the same run.
func ratioText(runs, all []*PublishRun, fsync string) string {
	base := make(map[int]float64)
	for _, r := range all {
		if r.config() == (config{name: fsync, count: 1}) {
			base[r.Run] = r.BatchesPerSecond()
		}
	}
	var ratios []float64
	for _, r := range runs {
		if base[r.Run] > 0 {
			ratios = append(ratios, r.BatchesPerSecond()/base[r.Run])
		}
	}
	if len(ratios) == 0 {
		return "-"
	}
	return spread(ratios, "%.2f", func(ratio float64) float64 { return ratio })
}

// WritePublish prints the table of publishing: a line for each policy and number of producers, medians and spread over
// its runs. The last columns compare with one fdatasync for each batch, and with one producer under the same policy.
func WritePublish(out io.Writer, runs []*PublishRun) {
	writeTable(out, groupBy(runs, (*PublishRun).config), []column[*PublishRun]{
		last("fsync", func(r *PublishRun) string { return r.Fsync }),
		last("producers", func(r *PublishRun) int { return r.Producers }),
		figure("batches/s", "%.0f", (*PublishRun).BatchesPerSecond),
		figure("MB/s", "%.1f", func(r *PublishRun) float64 { return float64(r.Bytes) / r.Seconds / 1e6 }),
		figure("p50 ms", "%.2f", func(r *PublishRun) float64 { return r.P50Millis }),
		figure("p99 ms", "%.2f", func(r *PublishRun) float64 { return r.P99Millis }),
		figure("max ms", "%.2f", func(r *PublishRun) float64 { return r.MaxMillis }),
		{"batches/sync", perSyncText},
		{"to plain", func(rs []*PublishRun) string { return ratioText(rs, runs, PlainWrites) }},
		{"to 1 producer", func(rs []*PublishRun) string { return ratioText(rs, runs, rs[0].Fsync) }},
	})
}

// perSyncText is how many batches one group commit covered. A server that never syncs and plain writes have none.
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
	name := func(r *PublishRun) string { return fmt.Sprintf("%s\n%d", r.Fsync, r.Producers) }
	return plotBars(path, "Acknowledged batches by --fsync and producers (median)", "batches per second",
		groupBy(runs, (*PublishRun).config), name, (*PublishRun).BatchesPerSecond)
}
