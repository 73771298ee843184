package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

// BenchRun is one drain, or one live run, of one configuration.
type BenchRun struct {
	// Server is a transfer mode, "nginx", or an address.
	Server      string `json:"server"`
	RingSize    int    `json:"ring_size,omitempty"`
	Subscribers int    `json:"subscribers"`
	// Slow says which subscribers beside these hardly read.
	Slow string `json:"slow,omitempty"`

	DeliveredBytes      int64   `json:"delivered_bytes"`
	Seconds             float64 `json:"seconds"`
	ServerCPUSeconds    float64 `json:"server_cpu_seconds,omitempty"`
	ClientCPUSeconds    float64 `json:"client_cpu_seconds"`
	SubscriberP50Millis float64 `json:"subscriber_p50_millis"`
	SubscriberP99Millis float64 `json:"subscriber_p99_millis"`

	// Copies are the units of the copy model that the server counted: bytes over bytes published.
	CopiesCounted bool    `json:"copies_counted"`
	CPUCopies     float64 `json:"cpu_copies"`
	ByReference   float64 `json:"by_reference"`

	QueuedWhenFull int64 `json:"queued_when_full"`
	// PipesLentMax is the most pipes that held bytes at once since the server's start, PipesLimit how many there may be.
	PipesLentMax int `json:"pipes_lent_max"`
	PipesLimit   int `json:"pipes_limit"`
	// ServerRSSBytes is the server's resident memory after the run, mapped page cache included; ServerRSSAnonBytes its own.
	ServerRSSBytes     int64 `json:"server_rss_bytes,omitempty"`
	ServerRSSAnonBytes int64 `json:"server_rss_anon_bytes,omitempty"`

	Live *LiveRun `json:"live,omitempty"`
}

// LiveRun is what a live run measured; latencies in microseconds.
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

// config is what runs are grouped by.
type config struct {
	server      string
	ring, count int
}

func (r *BenchRun) config() config { return config{r.Server + r.Slow, r.RingSize, r.Subscribers} }

// WriteBench prints the table of drains: a line for each configuration, medians and spread over its runs, and how each
// compares with the first that is named as the yardstick.
func WriteBench(out io.Writer, runs []*BenchRun, yardstick string) {
	configs, of := groupBy(runs, (*BenchRun).config)
	base := 0.0
	for _, c := range configs {
		if c.server == yardstick && base == 0 {
			base, _, _ = quantiles(of[c], (*BenchRun).CPUPerGB)
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(w, "mode\tring\tN\tGB/s\tserver s CPU/GB\tvs %s\tclient s CPU/GB\tp50 ms\tp99 ms\tCPU copies\tby reference\tqueued\tpipes\tanon MB\t\n", yardstick)
	for _, c := range configs {
		rs := of[c]
		ratio, copies, byRef := "-", "not counted", "not counted"
		if m, _, _ := quantiles(rs, (*BenchRun).CPUPerGB); base > 0 && m > 0 {
			ratio = fmt.Sprintf("%.2f", m/base)
		}
		if rs[0].CopiesCounted {
			copies = spread(rs[:1], "%.2f", func(r *BenchRun) float64 { return r.CPUCopies })
			byRef = spread(rs[:1], "%.2f", func(r *BenchRun) float64 { return r.ByReference })
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t\n", c.server, ringText(c.ring), c.count,
			spread(rs, "%.2f", (*BenchRun).GBPerSecond), cpuText(rs), ratio,
			spread(rs[:1], "%.3f", (*BenchRun).clientCPUPerGB),
			spread(rs, "%.0f", func(r *BenchRun) float64 { return r.SubscriberP50Millis }),
			spread(rs, "%.0f", func(r *BenchRun) float64 { return r.SubscriberP99Millis }),
			copies, byRef, rs[len(rs)-1].QueuedWhenFull, pipesText(rs), memoryText(rs))
	}
	_ = w.Flush()
}

// WriteLive prints the table of live runs.
func WriteLive(out io.Writer, runs []*BenchRun) {
	configs, of := groupBy(runs, (*BenchRun).config)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprint(w, "mode\tring\tN\trate/s\tdeliveries\tp50 us\tp99 us\tp99.9 us\tmax us\tserver us CPU/delivery\tserver anon MB\tlate\t\n")
	micros := func(pick func(*LiveRun) int64) func(*BenchRun) float64 {
		return func(r *BenchRun) float64 { return float64(pick(r.Live)) }
	}
	for _, c := range configs {
		rs := of[c]
		cpu := "not known"
		if rs[0].ServerCPUSeconds > 0 {
			cpu = spread(rs, "%.1f", func(r *BenchRun) float64 { return r.ServerCPUSeconds * 1e6 / float64(max(r.Live.Deliveries, 1)) })
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%d\t%s\t%s\t%s\t%s\t%s\t%.1f\t%d\t\n", c.server, ringText(c.ring), c.count,
			rs[0].Live.Rate, rs[len(rs)-1].Live.Deliveries,
			spread(rs, "%.0f", micros(func(l *LiveRun) int64 { return l.P50 })),
			spread(rs, "%.0f", micros(func(l *LiveRun) int64 { return l.P99 })),
			spread(rs, "%.0f", micros(func(l *LiveRun) int64 { return l.P999 })),
			spread(rs, "%.0f", micros(func(l *LiveRun) int64 { return l.Max })),
			cpu, float64(rs[len(rs)-1].ServerRSSAnonBytes)/1e6, rs[len(rs)-1].Live.Late)
	}
	_ = w.Flush()
}

// pipesText is the most pipes that were in use at once in any run, of how many there may be.
func pipesText(rs []*BenchRun) string {
	if !rs[0].CopiesCounted {
		return "-"
	}
	most := 0
	for _, r := range rs {
		most = max(most, r.PipesLentMax)
	}
	return fmt.Sprintf("%d/%d", most, rs[0].PipesLimit)
}

func memoryText(rs []*BenchRun) string {
	if !rs[0].CopiesCounted {
		return "-"
	}
	return spread(rs, "%.1f", func(r *BenchRun) float64 { return float64(r.ServerRSSAnonBytes) / 1e6 })
}

func ringText(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func cpuText(rs []*BenchRun) string {
	if rs[0].ServerCPUSeconds == 0 {
		return "not known"
	}
	return spread(rs, "%.3f", (*BenchRun).CPUPerGB)
}

// WriteJSON writes everything that was measured to a file.
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
