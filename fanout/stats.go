package fanout

import (
	"context"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/catalog"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/conn"
	"oneplusn/fanout/group"
	"oneplusn/fanout/metrics"
	"oneplusn/fanout/produce"
	"oneplusn/fanout/transfer"
	"oneplusn/fanout/transfer/pagecache"
	"oneplusn/fanout/wire"
	"oneplusn/ring"
)

type (
	ledger       = transfer.Ledger
	ringStats    = ring.Stats
	commitStats  = commit.Stats
	connStats    = conn.Stats
	catalogStats = catalog.Stats
	produceStats = produce.Stats
)

// LedgerStats are the bytes that were copied, by the kind of copy. DiskToCacheBytes comes from the kernel: see [Stats.ReadProcess].
type LedgerStats struct {
	DiskToCacheBytes uint64 `json:"disk_to_cache_bytes" metric:"copied_bytes_total" label:"copy" of:"disk_to_cache" help:"Bytes moved, by the copy that moved them (docs/copy-model.md)."`
	DiskCounted      bool   `json:"disk_counted"`
	ledger
	PublishedBytes uint64 `json:"published_bytes" metric:"published_bytes_total" help:"Bytes of record batches appended."`
}

// RingStats describe the ring.
type RingStats struct {
	ringStats
	InFlight int               `json:"in_flight" metric:"ring_in_flight" help:"Operations that the kernel holds."`
	ByOpcode map[string]uint64 `json:"by_opcode" metric:"ring_operations_total" label:"opcode" help:"Operations queued."`
}

// Stats is one consistent snapshot of a running broker. Its fields are the metrics: see package metrics.
type Stats struct {
	PID              int                    `json:"pid"`
	Transfer         string                 `json:"transfer"`
	RingSize         int                    `json:"ring_size"`
	UptimeSeconds    float64                `json:"uptime_seconds"`
	CPUUserSeconds   float64                `json:"cpu_user_seconds"`
	CPUSystemSeconds float64                `json:"cpu_system_seconds"`
	RSSBytes         uint64                 `json:"rss_bytes"`
	RSSAnonBytes     uint64                 `json:"rss_anon_bytes"`
	Turns            uint64                 `json:"turns" metric:"loop_turns_total" help:"Turns of the loop."`
	TurnTimes        metrics.Histogram      `json:"turn_times" metric:"loop_turn_seconds" help:"How long turns of the loop take: all other clients wait meanwhile."`
	RecordedEvents   uint64                 `json:"recorded_events" metric:"loop_events_total" help:"Operations recorded by the flight recorder; /debug/events shows the last."`
	StaleCompletions uint64                 `json:"stale_completions" metric:"stale_completions_total" help:"Completions for a connection that no longer exists: anything but 0 is a bug."`
	Budgets          map[string]BudgetStats `json:"budgets" label:"budget"`
	Ring             RingStats              `json:"ring"`
	Ledger           LedgerStats            `json:"ledger"`
	Pipes            transfer.PoolStats     `json:"pipes"`
	ColdCache        pagecache.Counts       `json:"cold_cache"`
	Groups           group.Counts           `json:"groups"`
	connStats
	Requests       map[string]uint64  `json:"requests" metric:"requests_total" label:"api" help:"Requests received."`
	RequestSeconds map[string]float64 `json:"request_seconds" metric:"request_seconds_total" label:"api" help:"Time from a request's arrival to its response's last byte; fetches include their wait."`
	WaitingFetches int                `json:"waiting_fetches" metric:"waiting_fetches" help:"Fetches that wait for records."`
	ColdLookups    uint64             `json:"cold_lookups" metric:"cold_lookups_total" help:"Searches for where a fetch begins that had to read the disk."`
	catalogStats
	produceStats
	commitStats
}

// BudgetStats are a budget's use and limit, in bytes unless the name says otherwise.
type BudgetStats struct {
	Used  int64 `json:"used" metric:"budget_bytes" help:"Used part of a limit; bytes unless the name says otherwise."`
	Limit int64 `json:"limit" metric:"budget_limit_bytes" help:"The limit: see docs/operations.md for the flag that raises it."`
}

// budgets are all budgets that have metrics.
func (b *Broker) budgets() []*budget.Budget {
	d := &b.descriptors
	return append(b.conns.Budgets(), b.fetcher.Sessions(), b.catalog.PartitionBudget(), d.all, d.files, d.connections)
}

// Stats is a snapshot taken on the loop's thread, between two turns. What the operating system knows about the process
// is added by [ReadProcess].
func (b *Broker) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	err := b.loop.Call(ctx, func() { s = b.snapshot() })
	return s, err
}

func (b *Broker) snapshot() Stats {
	k, conns, produces := b.loop.Kernel.Stats(), b.conns.Stats(), b.producer.Stats()
	s := Stats{
		Transfer:         b.config.Transfer.Mode.String(),
		RingSize:         b.config.Ring.Entries,
		UptimeSeconds:    b.loop.Now().Seconds(),
		Ledger:           LedgerStats{ledger: *b.conns.Engine.Ledger, PublishedBytes: produces.PublishedBytes},
		Ring:             RingStats{ringStats: k, InFlight: b.loop.Kernel.InFlight(), ByOpcode: make(map[string]uint64)},
		Pipes:            b.conns.Engine.Pipes(),
		ColdCache:        b.conns.Engine.PageCache.Counts(),
		WaitingFetches:   b.producer.Parked() + b.fetcher.Parked(),
		ColdLookups:      b.fetcher.Lookups(),
		Requests:         make(map[string]uint64),
		RequestSeconds:   make(map[string]float64),
		Budgets:          make(map[string]BudgetStats),
		connStats:        conns,
		catalogStats:     b.catalog.Stats(),
		produceStats:     produces,
		commitStats:      b.committer.Stats(),
		StaleCompletions: b.counters.stale + conns.Stale,
		RecordedEvents:   b.loop.Recorded(),
		Turns:            b.loop.Turn() - 1, // the one under way is not over
		TurnTimes:        b.turns.Histogram(),
	}
	budgets := b.budgets()
	if g := b.offsets.Coordinator(); g != nil {
		s.Groups = g.Counts()
		budgets = append(budgets, g.Budget())
	}
	for _, one := range budgets {
		s.Budgets[one.Name()] = BudgetStats{one.Used(), one.Limit()}
	}
	for _, op := range ring.Opcodes() {
		s.Ring.ByOpcode[op.String()] = k.ByOpcode[op]
	}
	for key, n := range b.counters.requests {
		if n > 0 {
			name := wire.Describe(int16(key))
			s.Requests[name] = n
			s.RequestSeconds[name] = b.counters.requestTime[key].Seconds()
		}
	}
	return s
}
