package report

import (
	"fmt"
	"io"
)

// ColdRun is one run of hot readers beside cold ones.
type ColdRun struct {
	Run int `json:"run"`
	// Policy is kernel or bounded. ColdCacheBytes is the server's --cold-cache, 0 if the kernel alone manages the page cache.
	Policy         string `json:"policy"`
	ColdCacheBytes int64  `json:"cold_cache_bytes"`
	// MemoryLimitBytes limits server and client together, page cache included; 0 if it is not known.
	MemoryLimitBytes int64 `json:"memory_limit_bytes,omitempty"`

	// ColdPartBytes and HotPartBytes are the two parts of the log.
	ColdPartBytes int64 `json:"cold_part_bytes"`
	HotPartBytes  int64 `json:"hot_part_bytes"`
	HotReaders    int   `json:"hot_readers"`
	ColdReaders   int   `json:"cold_readers"`

	// ColdBytes were delivered to the cold readers within Seconds, HotBytes to the hot ones in the same time.
	ColdBytes int64   `json:"cold_bytes"`
	HotBytes  int64   `json:"hot_bytes"`
	Seconds   float64 `json:"seconds"`

	// CacheCounted tells whether the kernel reported what the page cache held. It was sampled CacheSamples times, and once more
	// at the end.
	CacheCounted    bool  `json:"cache_counted"`
	CacheSamples    int   `json:"cache_samples"`
	HotCachedWarm   int64 `json:"hot_cached_warm_bytes"` // after warming
	HotCachedMin    int64 `json:"hot_cached_min_bytes"`
	HotCachedAtEnd  int64 `json:"hot_cached_at_end_bytes"`
	ColdCachedMax   int64 `json:"cold_cached_max_bytes"`
	ColdCachedAtEnd int64 `json:"cold_cached_at_end_bytes"`
	// The server's own counters: bytes in its cold cache at the end, bytes evicted, and bytes that it failed to evict.
	ServerHeldBytes    int64 `json:"server_held_bytes"`
	ServerDroppedBytes int64 `json:"server_dropped_bytes"`
	ServerBusyBytes    int64 `json:"server_busy_bytes"`
	// DiskBytes is how much the server read from storage, if DiskCounted.
	DiskCounted bool  `json:"disk_counted"`
	DiskBytes   int64 `json:"disk_bytes"`

	// Hot are the fetches of the hot readers beside the cold ones, Alone those without them; nil if there were none.
	Hot   *FetchTimes `json:"hot"`
	Alone *FetchTimes `json:"hot_alone,omitempty"`

	ServerCPUSeconds float64 `json:"server_cpu_seconds"`
	ClientCPUSeconds float64 `json:"client_cpu_seconds"`
}

// FetchTimes are latencies of fetches at a pace, from the request to the last byte of the response.
type FetchTimes struct {
	Fetches int64 `json:"fetches"`
	// Late counts fetches that were sent too late, because the response to the last one was still missing.
	Late int64 `json:"late"`
	Latencies
}

// ColdMBPerSecond is the rate of delivery to all cold readers together.
func (r *ColdRun) ColdMBPerSecond() float64 { return float64(r.ColdBytes) / 1e6 / r.Seconds }

// CPUPerGB is the server's CPU time in seconds for each GB delivered to hot and cold readers.
func (r *ColdRun) CPUPerGB() float64 {
	return r.ServerCPUSeconds / (float64(max(r.ColdBytes+r.HotBytes, 1)) / 1e9)
}

// name is the table's first cell.
func (r *ColdRun) name() string {
	if r.ColdCacheBytes == 0 {
		return r.Policy
	}
	return fmt.Sprintf("%s, %d MiB", r.Policy, r.ColdCacheBytes>>20)
}

func (r *ColdRun) hotShare(bytes int64) float64 {
	return 100 * float64(bytes) / float64(max(r.HotPartBytes, 1))
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// WriteCold prints the table: a line for each policy, medians and spread over its runs.
func WriteCold(out io.Writer, runs []*ColdRun) {
	cache := func(title, format string, of func(*ColdRun) float64) column[*ColdRun] {
		return figure(title, format, of).onlyIf(func(r *ColdRun) bool { return r.CacheCounted }, "not counted")
	}
	alone := func(title string, of func(*ColdRun) float64) column[*ColdRun] {
		return figure(title, "%.2f", of).onlyIf(func(r *ColdRun) bool { return r.Alone != nil }, "-")
	}
	writeTable(out, groupBy(runs, (*ColdRun).name), []column[*ColdRun]{
		last("cold cache", (*ColdRun).name),
		figure("cold MB/s", "%.0f", (*ColdRun).ColdMBPerSecond),
		cache("hot cached % min", "%.1f", func(r *ColdRun) float64 { return r.hotShare(r.HotCachedMin) }),
		cache("% at end", "%.1f", func(r *ColdRun) float64 { return r.hotShare(r.HotCachedAtEnd) }),
		cache("cold cached MiB max", "%.0f", func(r *ColdRun) float64 { return mib(r.ColdCachedMax) }),
		cache("MiB at end", "%.0f", func(r *ColdRun) float64 { return mib(r.ColdCachedAtEnd) }),
		figure("disk MiB", "%.0f", func(r *ColdRun) float64 { return mib(r.DiskBytes) }).
			onlyIf(func(r *ColdRun) bool { return r.DiskCounted }, "not counted"),
		last("hot fetches", func(r *ColdRun) int64 { return r.Hot.Fetches }),
		figure("hot p50 ms", "%.2f", func(r *ColdRun) float64 { return r.Hot.P50Millis }),
		figure("hot p99 ms", "%.2f", func(r *ColdRun) float64 { return r.Hot.P99Millis }),
		figure("hot max ms", "%.2f", func(r *ColdRun) float64 { return r.Hot.MaxMillis }),
		alone("alone p50 ms", func(r *ColdRun) float64 { return r.Alone.P50Millis }),
		alone("alone p99 ms", func(r *ColdRun) float64 { return r.Alone.P99Millis }),
		figure("server s CPU/GB", "%.3f", (*ColdRun).CPUPerGB),
	})
}
