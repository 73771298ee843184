package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
)

// BenchRun is one drain, or one live run, of one configuration.
type BenchRun struct {
	// Server is a transfer mode, "nginx", or an address.
	Server      string `json:"server"`
	RingSize    int    `json:"ring_size,omitempty"`
	Subscribers int    `json:"subscribers"`
	// Slow names the slow subscribers beside the measured ones.
	Slow string `json:"slow,omitempty"`

	DeliveredBytes      int64   `json:"delivered_bytes"`
	Seconds             float64 `json:"seconds"`
	ServerCPUSeconds    float64 `json:"server_cpu_seconds,omitempty"`
	ClientCPUSeconds    float64 `json:"client_cpu_seconds"`
	SubscriberP50Millis float64 `json:"subscriber_p50_millis"`
	SubscriberP99Millis float64 `json:"subscriber_p99_millis"`

	// CPUCopies and ByReference are the server's counts in units of the copy model: bytes divided by the bytes published.
	CopiesCounted bool    `json:"copies_counted"`
	CPUCopies     float64 `json:"cpu_copies"`
	ByReference   float64 `json:"by_reference"`

	QueuedWhenFull int64 `json:"queued_when_full"`
	// PipesLentMax is the most pipes in use at once since the server's start, PipesLimit how many there may be.
	PipesLentMax int `json:"pipes_lent_max"`
	PipesLimit   int `json:"pipes_limit"`
	// ServerRSSBytes is the server's resident memory after the run, ServerRSSAnonBytes the same without mapped page cache.
	ServerRSSBytes     int64 `json:"server_rss_bytes,omitempty"`
	ServerRSSAnonBytes int64 `json:"server_rss_anon_bytes,omitempty"`

	Live *LiveRun `json:"live,omitempty"`
}

// LiveRun has the figures of a live run, latencies in microseconds.
type LiveRun struct {
	Rate       float64 `json:"rate_per_second"`
	Published  int64   `json:"published"`
	Deliveries int64   `json:"deliveries"`
	Late       int64   `json:"late_ticks"`
	P50        int64   `json:"p50_micros"`
	P99        int64   `json:"p99_micros"`
	P999       int64   `json:"p999_micros"`
	Max        int64   `json:"max_micros"`
}

// GBPerSecond is the rate of delivery to all subscribers together.
func (r *BenchRun) GBPerSecond() float64 { return float64(r.DeliveredBytes) / 1e9 / r.Seconds }

// CPUPerGB is the server's CPU time in seconds for each GB delivered.
func (r *BenchRun) CPUPerGB() float64 {
	if r.DeliveredBytes == 0 {
		return 0
	}
	return r.ServerCPUSeconds / (float64(r.DeliveredBytes) / 1e9)
}

func (r *BenchRun) clientCPUPerGB() float64 {
	return r.ClientCPUSeconds / (float64(r.DeliveredBytes) / 1e9)
}

// cpuPerDelivery is the server's CPU time in microseconds for each delivery of a live run.
func (r *BenchRun) cpuPerDelivery() float64 {
	return r.ServerCPUSeconds * 1e6 / float64(max(r.Live.Deliveries, 1))
}

func (r *BenchRun) copiesCounted() bool { return r.CopiesCounted }
func (r *BenchRun) cpuKnown() bool      { return r.ServerCPUSeconds > 0 }
func (r *BenchRun) anonMB() float64     { return float64(r.ServerRSSAnonBytes) / 1e6 }
func (r *BenchRun) name() string        { return r.Server + r.Slow }

// config identifies a configuration.
type config struct {
	name        string
	ring, count int
}

func (r *BenchRun) config() config { return config{r.name(), r.RingSize, r.Subscribers} }

var configColumns = []column[*BenchRun]{
	last("mode", (*BenchRun).name),
	last("ring", func(r *BenchRun) int { return r.RingSize }).onlyIf(func(r *BenchRun) bool { return r.RingSize > 0 }, "-"),
	last("N", func(r *BenchRun) int { return r.Subscribers }),
}

// WriteBench prints the table of drains: a line for each configuration, medians and spread over its runs, and the ratio
// of its CPU time to that of the first configuration that is named as the yardstick.
func WriteBench(out io.Writer, runs []*BenchRun, yardstick string) {
	configs := groupBy(runs, (*BenchRun).config)
	base := 0.0
	if i := slices.IndexFunc(configs, func(rs []*BenchRun) bool { return rs[0].name() == yardstick }); i >= 0 {
		base, _, _ = quantiles(configs[i], (*BenchRun).CPUPerGB)
	}
	ratio := func(rs []*BenchRun) string {
		if m, _, _ := quantiles(rs, (*BenchRun).CPUPerGB); base > 0 && m > 0 {
			return fmt.Sprintf("%.2f", m/base)
		}
		return "-"
	}
	first := func(title, format string, of func(*BenchRun) float64) column[*BenchRun] {
		return column[*BenchRun]{title, func(rs []*BenchRun) string { return fmt.Sprintf(format, of(rs[0])) }}
	}
	writeTable(out, configs, slices.Concat(configColumns, []column[*BenchRun]{
		figure("GB/s", "%.2f", (*BenchRun).GBPerSecond),
		figure("server s CPU/GB", "%.3f", (*BenchRun).CPUPerGB).onlyIf((*BenchRun).cpuKnown, "not known"),
		{"vs " + yardstick, ratio},
		first("client s CPU/GB", "%.3f", (*BenchRun).clientCPUPerGB),
		figure("p50 ms", "%.0f", func(r *BenchRun) float64 { return r.SubscriberP50Millis }),
		figure("p99 ms", "%.0f", func(r *BenchRun) float64 { return r.SubscriberP99Millis }),
		first("CPU copies", "%.2f", func(r *BenchRun) float64 { return r.CPUCopies }).onlyIf((*BenchRun).copiesCounted, "not counted"),
		first("by reference", "%.2f", func(r *BenchRun) float64 { return r.ByReference }).onlyIf((*BenchRun).copiesCounted, "not counted"),
		last("queued", func(r *BenchRun) int64 { return r.QueuedWhenFull }),
		column[*BenchRun]{"pipes", pipesText}.onlyIf((*BenchRun).copiesCounted, "-"),
		figure("anon MB", "%.1f", (*BenchRun).anonMB).onlyIf((*BenchRun).copiesCounted, "-"),
	}))
}

// pipesText is the most pipes in use at once in any run, and their limit.
func pipesText(rs []*BenchRun) string {
	most := 0
	for _, r := range rs {
		most = max(most, r.PipesLentMax)
	}
	return fmt.Sprintf("%d/%d", most, rs[0].PipesLimit)
}

// WriteLive prints the table of live runs.
func WriteLive(out io.Writer, runs []*BenchRun) {
	micros := func(title string, of func(*LiveRun) int64) column[*BenchRun] {
		return figure(title, "%.0f", func(r *BenchRun) float64 { return float64(of(r.Live)) })
	}
	writeTable(out, groupBy(runs, (*BenchRun).config), slices.Concat(configColumns, []column[*BenchRun]{
		last("rate/s", func(r *BenchRun) string { return fmt.Sprintf("%.0f", r.Live.Rate) }),
		last("deliveries", func(r *BenchRun) int64 { return r.Live.Deliveries }),
		micros("p50 us", func(l *LiveRun) int64 { return l.P50 }),
		micros("p99 us", func(l *LiveRun) int64 { return l.P99 }),
		micros("p99.9 us", func(l *LiveRun) int64 { return l.P999 }),
		micros("max us", func(l *LiveRun) int64 { return l.Max }),
		figure("server us CPU/delivery", "%.1f", (*BenchRun).cpuPerDelivery).onlyIf((*BenchRun).cpuKnown, "not known"),
		last("server anon MB", func(r *BenchRun) string { return fmt.Sprintf("%.1f", r.anonMB()) }),
		last("late", func(r *BenchRun) int64 { return r.Live.Late }),
	}))
}

// WriteJSON writes all figures to a file.
func WriteJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
