package report

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// ColdRun is one run of hot readers beside cold ones.
type ColdRun struct {
	Run int `json:"run"`
	// Policy is kernel or bounded, by the server's --cold-cache, ColdCacheBytes: 0 leaves the page cache to the kernel.
	Policy         string `json:"policy"`
	ColdCacheBytes int64  `json:"cold_cache_bytes"`
	// MemoryLimitBytes is what server and client may use together, page cache included; 0 if it is not known.
	MemoryLimitBytes int64 `json:"memory_limit_bytes,omitempty"`

	// ColdPartBytes and HotPartBytes are the two parts of the log.
	ColdPartBytes int64 `json:"cold_part_bytes"`
	HotPartBytes  int64 `json:"hot_part_bytes"`
	HotReaders    int   `json:"hot_readers"`
	ColdReaders   int   `json:"cold_readers"`

	// ColdBytes were delivered to the cold readers within Seconds, and HotBytes to the hot ones meanwhile.
	ColdBytes int64   `json:"cold_bytes"`
	HotBytes  int64   `json:"hot_bytes"`
	Seconds   float64 `json:"seconds"`

	// CacheCounted says that the kernel told what is in the page cache. It was asked CacheSamples times, and at the end.
	CacheCounted    bool  `json:"cache_counted"`
	CacheSamples    int   `json:"cache_samples"`
	HotCachedWarm   int64 `json:"hot_cached_warm_bytes"` // after warming
	HotCachedMin    int64 `json:"hot_cached_min_bytes"`
	HotCachedAtEnd  int64 `json:"hot_cached_at_end_bytes"`
	ColdCachedMax   int64 `json:"cold_cached_max_bytes"`
	ColdCachedAtEnd int64 `json:"cold_cached_at_end_bytes"`
	// The server's own count: what its cold cache held at the end, dropped meanwhile, and could not drop when it tried.
	ServerHeldBytes    int64 `json:"server_held_bytes"`
	ServerDroppedBytes int64 `json:"server_dropped_bytes"`
	ServerBusyBytes    int64 `json:"server_busy_bytes"`
	// DiskBytes were read from storage by the server, if DiskCounted.
	DiskCounted bool  `json:"disk_counted"`
	DiskBytes   int64 `json:"disk_bytes"`

	// Hot are the fetches of the hot readers beside the cold ones, Alone those before these came; nil if there were none.
	Hot   *FetchTimes `json:"hot"`
	Alone *FetchTimes `json:"hot_alone,omitempty"`

	ServerCPUSeconds float64 `json:"server_cpu_seconds"`
	ClientCPUSeconds float64 `json:"client_cpu_seconds"`
}

// FetchTimes are how long fetches at a pace took, from the request to the last byte of the response.
type FetchTimes struct {
	Fetches int64 `json:"fetches"`
	// Late were not sent when they were due, since the one before was not answered.
	Late int64 `json:"late"`
	Latencies
}

// ColdMBPerSecond is the rate of delivery to all cold readers together.
func (r *ColdRun) ColdMBPerSecond() float64 { return float64(r.ColdBytes) / 1e6 / r.Seconds }

// CPUPerGB is the server's CPU time in seconds for each GB delivered to hot and cold readers.
func (r *ColdRun) CPUPerGB() float64 {
	return r.ServerCPUSeconds / (float64(max(r.ColdBytes+r.HotBytes, 1)) / 1e9)
}

// hotShare makes a figure of the share of the hot part in percent.
func hotShare(bytes func(*ColdRun) int64) func(*ColdRun) float64 {
	return func(r *ColdRun) float64 { return 100 * float64(bytes(r)) / float64(max(r.HotPartBytes, 1)) }
}

func mib(bytes func(*ColdRun) int64) func(*ColdRun) float64 {
	return func(r *ColdRun) float64 { return float64(bytes(r)) / (1 << 20) }
}

// coldCacheText names a row.
func (r *ColdRun) coldCacheText() string {
	if r.ColdCacheBytes == 0 {
		return r.Policy
	}
	return fmt.Sprintf("%s, %d MiB", r.Policy, r.ColdCacheBytes>>20)
}

// WriteCold prints the table: a line for each policy, medians and spread over its runs.
func WriteCold(out io.Writer, runs []*ColdRun) {
	policies, of := groupBy(runs, (*ColdRun).coldCacheText)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprint(w, "cold cache\tcold MB/s\thot cached % min\t% at end\tcold cached MiB max\tMiB at end\tdisk MiB\thot fetches\thot p50 ms\thot p99 ms\thot max ms\talone p50 ms\talone p99 ms\tserver s CPU/GB\t\n")
	for _, p := range policies {
		rs := of[p]
		cache := func(format string, figure func(*ColdRun) float64) string {
			if !rs[0].CacheCounted {
				return "not counted"
			}
			return spread(rs, format, figure)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t\n", p,
			spread(rs, "%.0f", (*ColdRun).ColdMBPerSecond),
			cache("%.1f", hotShare(func(r *ColdRun) int64 { return r.HotCachedMin })),
			cache("%.1f", hotShare(func(r *ColdRun) int64 { return r.HotCachedAtEnd })),
			cache("%.0f", mib(func(r *ColdRun) int64 { return r.ColdCachedMax })),
			cache("%.0f", mib(func(r *ColdRun) int64 { return r.ColdCachedAtEnd })),
			diskText(rs), rs[len(rs)-1].Hot.Fetches,
			fetchText(rs, hotTimes, func(f *FetchTimes) float64 { return f.P50Millis }),
			fetchText(rs, hotTimes, func(f *FetchTimes) float64 { return f.P99Millis }),
			fetchText(rs, hotTimes, func(f *FetchTimes) float64 { return f.MaxMillis }),
			fetchText(rs, aloneTimes, func(f *FetchTimes) float64 { return f.P50Millis }),
			fetchText(rs, aloneTimes, func(f *FetchTimes) float64 { return f.P99Millis }),
			spread(rs, "%.3f", (*ColdRun).CPUPerGB))
	}
	_ = w.Flush()
}

func hotTimes(r *ColdRun) *FetchTimes   { return r.Hot }
func aloneTimes(r *ColdRun) *FetchTimes { return r.Alone }

func fetchText(rs []*ColdRun, of func(*ColdRun) *FetchTimes, figure func(*FetchTimes) float64) string {
	if of(rs[0]) == nil {
		return "-"
	}
	return spread(rs, "%.2f", func(r *ColdRun) float64 { return figure(of(r)) })
}

func diskText(rs []*ColdRun) string {
	if !rs[0].DiskCounted {
		return "not counted"
	}
	return spread(rs, "%.0f", mib(func(r *ColdRun) int64 { return r.DiskBytes }))
}
