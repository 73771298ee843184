package admin

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"oneplusn/fanout"
)

// collector turns one snapshot into metrics at each scrape.
type collector struct {
	source Source
	up     *prometheus.Desc
	turns  *prometheus.Desc
	single []single
	maps   []labelled
}

// single is a metric without labels.
type single struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*fanout.Stats) float64
}

// labelled is a metric with one label.
type labelled struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	values func(*fanout.Stats) map[string]float64
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

func newCollector(source Source) *collector {
	c := &collector{source: source, up: desc("up", "1 if the loop answered this scrape."),
		turns: desc("loop_turn_seconds", "How long turns of the loop take: nobody else is served meanwhile.")}
	one := func(name, help string, kind prometheus.ValueType, value func(*fanout.Stats) float64) {
		c.single = append(c.single, single{desc(name, help), kind, value})
	}
	one("connections", "Connections open.", gauge, func(s *fanout.Stats) float64 { return float64(s.Connections) })
	one("connections_accepted_total", "Connections accepted.", counter, func(s *fanout.Stats) float64 { return float64(s.Accepted) })
	one("waiting_fetches", "Fetches that wait for records.", gauge, func(s *fanout.Stats) float64 { return float64(s.WaitingFetches) })
	one("cold_lookups_total", "Searches for where a fetch begins that had to read the disk.", counter,
		func(s *fanout.Stats) float64 { return float64(s.ColdLookups) })
	one("waiting_for_memory", "Connections held back because --request-memory or --response-memory is used up.", gauge,
		func(s *fanout.Stats) float64 { return float64(s.WaitingForMemory) })
	one("topics", "Topics.", gauge, func(s *fanout.Stats) float64 { return float64(s.Topics) })
	one("partitions", "Partitions.", gauge, func(s *fanout.Stats) float64 { return float64(s.Partitions) })
	one("partitions_refused", "Partitions that are not served because their files are damaged: see the log.", gauge,
		func(s *fanout.Stats) float64 { return float64(s.PartitionsRefused) })
	one("log_bytes", "Bytes in all logs.", gauge, func(s *fanout.Stats) float64 { return float64(s.LogBytes) })
	one("published_bytes_total", "Bytes of record batches appended.", counter, func(s *fanout.Stats) float64 { return float64(s.Ledger.PublishedBytes) })
	one("published_records_total", "Records appended.", counter, func(s *fanout.Stats) float64 { return float64(s.PublishedRecords) })
	one("produce_errors_total", "Produce requests refused or failed, by partition.", counter, func(s *fanout.Stats) float64 { return float64(s.ProduceErrors) })
	one("duplicate_batches_total", "Batches that idempotent producers sent again, and that were not appended again.", counter,
		func(s *fanout.Stats) float64 { return float64(s.Duplicates) })
	one("syncs_total", "Group commits: fsyncs of a partition.", counter, func(s *fanout.Stats) float64 { return float64(s.Syncs) })
	one("sync_seconds_total", "Time that group commits took.", counter, func(s *fanout.Stats) float64 { return s.SyncSeconds })
	one("sync_errors_total", "Group commits that failed: each left a partition that takes no more writes.", counter,
		func(s *fanout.Stats) float64 { return float64(s.SyncErrors) })
	one("groups", "Consumer groups.", gauge, func(s *fanout.Stats) float64 { return float64(s.Groups.Groups) })
	one("group_members", "Members of consumer groups.", gauge, func(s *fanout.Stats) float64 { return float64(s.Groups.Members) })
	one("group_offsets", "Offsets that consumer groups have committed.", gauge, func(s *fanout.Stats) float64 { return float64(s.Groups.Offsets) })
	one("group_memory_bytes", "Memory of consumer groups, of --group-memory.", gauge, func(s *fanout.Stats) float64 { return float64(s.Groups.MemoryBytes) })
	one("group_rebalances_total", "Rebalances begun.", counter, func(s *fanout.Stats) float64 { return float64(s.Groups.Rebalances) })
	one("group_members_expired_total", "Members removed because they were silent, or did not come for their assignment.", counter,
		func(s *fanout.Stats) float64 { return float64(s.Groups.Expired) })
	one("group_requests_refused_total", "Requests refused by --max-groups, --max-group-members or --group-memory.", counter,
		func(s *fanout.Stats) float64 { return float64(s.Groups.Refused) })
	one("ring_entries_submitted_total", "Submission queue entries handed to the kernel.", counter, func(s *fanout.Stats) float64 { return float64(s.Ring.Submitted) })
	one("ring_completions_total", "Completions.", counter, func(s *fanout.Stats) float64 { return float64(s.Ring.Completed) })
	one("ring_enters_total", "Calls of io_uring_enter.", counter, func(s *fanout.Stats) float64 { return float64(s.Ring.Enters) })
	one("ring_queued_when_full_total", "Operations that waited because the submission queue was full: a larger --ring-size would help.", counter,
		func(s *fanout.Stats) float64 { return float64(s.Ring.QueuedWhenFull) })
	one("ring_completion_overflows_total", "Waits that found the completion queue overflown: a larger --cq-size would help.", counter,
		func(s *fanout.Stats) float64 { return float64(s.Ring.CQOverflows) })
	one("ring_no_buffers_total", "Receives that ended because all receive buffers were in use.", counter, func(s *fanout.Stats) float64 { return float64(s.Ring.NoBuffers) })
	one("ring_in_flight", "Operations that the kernel holds.", gauge, func(s *fanout.Stats) float64 { return float64(s.Ring.InFlight) })
	one("stale_completions_total", "Completions for a connection that no longer exists: anything but 0 is a bug.", counter,
		func(s *fanout.Stats) float64 { return float64(s.StaleCompletions) })
	one("loop_turns_total", "Turns of the loop.", counter, func(s *fanout.Stats) float64 { return float64(s.Turns) })
	addPipes(one)
	addColdCache(one)
	one("request_memory_bytes", "Memory of request frames.", gauge, func(s *fanout.Stats) float64 { return float64(s.RequestMemory) })
	one("response_memory_bytes", "Memory of large responses.", gauge, func(s *fanout.Stats) float64 { return float64(s.ResponseMemory) })
	c.maps = labelledMetrics()
	return c
}

// labelledMetrics are the metrics with a label.
func labelledMetrics() []labelled {
	return []labelled{
		{desc("budget_bytes", "What is taken of a limit; bytes unless the name says otherwise.", "budget"), gauge,
			func(s *fanout.Stats) map[string]float64 {
				return budgets(s, func(b fanout.BudgetStats) int64 { return b.Used })
			}},
		{desc("budget_limit_bytes", "The limit: see docs/operations.md for the flag that raises it.", "budget"), gauge,
			func(s *fanout.Stats) map[string]float64 {
				return budgets(s, func(b fanout.BudgetStats) int64 { return b.Limit })
			}},
		{desc("copied_bytes_total", "Bytes moved, by the copy that moved them (docs/copy-model.md).", "copy"), counter, copies},
		{desc("connections_closed_total", "Connections closed.", "reason"), counter,
			func(s *fanout.Stats) map[string]float64 { return floats(s.Closed) }},
		{desc("requests_total", "Requests received.", "api"), counter,
			func(s *fanout.Stats) map[string]float64 { return floats(s.Requests) }},
		{desc("request_seconds_total", "Time from a request's arrival to its response's last byte; fetches include their wait.", "api"), counter,
			func(s *fanout.Stats) map[string]float64 { return s.RequestSeconds }},
		{desc("ring_operations_total", "Operations queued.", "opcode"), counter,
			func(s *fanout.Stats) map[string]float64 { return floats(s.Ring.ByOpcode) }},
	}
}

// addPipes adds the pipe pool.
func addPipes(one func(name, help string, kind prometheus.ValueType, value func(*fanout.Stats) float64)) {
	one("pipes_open", "Pipes open.", gauge, func(s *fanout.Stats) float64 { return float64(s.Pipes.Open) })
	one("pipes_lent", "Pipes that hold or are about to hold bytes.", gauge, func(s *fanout.Stats) float64 { return float64(s.Pipes.Lent) })
	one("pipes_lent_max", "The most pipes lent at once since the start.", gauge, func(s *fanout.Stats) float64 { return float64(s.Pipes.LentMax) })
	one("pipes_max", "The limit on pipes.", gauge, func(s *fanout.Stats) float64 { return float64(s.Pipes.Max) })
	one("pipes_waiting", "Responses that wait for a pipe.", gauge, func(s *fanout.Stats) float64 { return float64(s.Pipes.Waiting) })
	one("pipes_reclaimed_total", "Pipes taken from stalled subscribers.", counter, func(s *fanout.Stats) float64 { return float64(s.Pipes.Reclaimed) })
}

// addColdCache adds what is to be known of subscribers that read from a disk.
func addColdCache(one func(name, help string, kind prometheus.ValueType, value func(*fanout.Stats) float64)) {
	one("cold_cache_limit_bytes", "What records read from disk may fill of the page cache, of --cold-cache; 0 where that is left to the kernel.", gauge,
		func(s *fanout.Stats) float64 { return float64(s.ColdCache.LimitBytes) })
	one("cold_cache_bytes", "What they fill, in whole blocks.", gauge, func(s *fanout.Stats) float64 { return float64(s.ColdCache.HeldBytes) })
	one("cold_cache_dropped_bytes_total", "Bytes dropped from the page cache after subscribers far behind had read them.", counter,
		func(s *fanout.Stats) float64 { return float64(s.ColdCache.DroppedBytes) })
	one("cold_cache_busy_bytes_total", "Bytes kept for another round because they were in use when they were to be dropped.", counter,
		func(s *fanout.Stats) float64 { return float64(s.ColdCache.BusyBytes) })
	one("readahead_bytes_total", "Bytes asked for ahead of subscribers that read from disk.", counter,
		func(s *fanout.Stats) float64 { return float64(s.ColdCache.ReadaheadBytes) })
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("oneplusn_"+name, help, labels, nil)
}

func copies(s *fanout.Stats) map[string]float64 {
	l := &s.Ledger
	return map[string]float64{
		"disk_to_cache":   float64(l.DiskToCacheBytes),
		"cache_to_user":   float64(l.CacheToUserBytes),
		"user_to_socket":  float64(l.UserToSocketBytes),
		"cache_to_socket": float64(l.CacheToSocketBytes),
		"by_reference":    float64(l.ByReferenceBytes),
		"headers":         float64(l.HeaderBytes),
	}
}

func budgets(s *fanout.Stats, value func(fanout.BudgetStats) int64) map[string]float64 {
	out := make(map[string]float64, len(s.Budgets))
	for name, b := range s.Budgets {
		out[name] = float64(value(b))
	}
	return out
}

func floats(counts map[string]uint64) map[string]float64 {
	out := make(map[string]float64, len(counts))
	for k, v := range counts {
		out[k] = float64(v)
	}
	return out
}

// turnHistogram is the histogram of turns, with the counts below each bound that Prometheus wants.
func turnHistogram(d *prometheus.Desc, t *fanout.TurnStats) prometheus.Metric {
	below, buckets := uint64(0), make(map[float64]uint64, len(t.Bounds))
	for i, bound := range t.Bounds {
		below += t.Counts[i]
		buckets[bound] = below
	}
	all := below
	if len(t.Counts) > len(t.Bounds) {
		all += t.Counts[len(t.Bounds)]
	}
	return prometheus.MustNewConstHistogram(d, all, t.Seconds, buckets)
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.up
	out <- c.turns
	for i := range c.single {
		out <- c.single[i].desc
	}
	for i := range c.maps {
		out <- c.maps[i].desc
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), snapshotTimeout)
	defer cancel()
	stats, err := c.source.Stats(ctx)
	if err != nil {
		out <- prometheus.MustNewConstMetric(c.up, gauge, 0)
		return
	}
	stats.ReadProcess()
	out <- prometheus.MustNewConstMetric(c.up, gauge, 1)
	out <- turnHistogram(c.turns, &stats.TurnTimes)
	for _, m := range c.single {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&stats))
	}
	for _, m := range c.maps {
		for label, value := range m.values(&stats) {
			out <- prometheus.MustNewConstMetric(m.desc, m.kind, value, label)
		}
	}
}
