package fanout

import (
	"context"
	"time"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/wire"
	"oneplusn/ring"
)

// maxKey bounds the request keys that are counted one by one.
const maxKey = 96

// counters are what the loop counts. They belong to its thread; [Broker.Stats] takes a copy there.
type counters struct {
	accepted         uint64
	closed           [closeReasons]uint64
	requests         [maxKey]uint64
	requestNanos     [maxKey]uint64
	publishedBytes   uint64
	publishedRecords uint64
	produceErrors    uint64
	duplicates       uint64
	stale            uint64
	turns            uint64
}

func (c *counters) request(key int16) {
	if key >= 0 && key < maxKey {
		c.requests[key]++
	}
}

func (c *counters) requestSeconds(key int16, took time.Duration) {
	if key >= 0 && key < maxKey {
		c.requestNanos[key] += uint64(took)
	}
}

// LedgerStats are the bytes that were copied, by the kind of copy. DiskToCache is read by whoever asks, see
// [ReadProcess].
type LedgerStats struct {
	DiskToCacheBytes   uint64 `json:"disk_to_cache_bytes"`
	DiskCounted        bool   `json:"disk_counted"`
	CacheToUserBytes   uint64 `json:"cache_to_user_bytes"`
	UserToSocketBytes  uint64 `json:"user_to_socket_bytes"`
	CacheToSocketBytes uint64 `json:"cache_to_socket_bytes"`
	ByReferenceBytes   uint64 `json:"by_reference_bytes"`
	HeaderBytes        uint64 `json:"header_bytes"`
	PublishedBytes     uint64 `json:"published_bytes"`
}

// RingStats describe the ring; see [ring.Stats].
type RingStats struct {
	Submitted      uint64            `json:"submitted"`
	Completed      uint64            `json:"completed"`
	Enters         uint64            `json:"enters"`
	QueuedWhenFull uint64            `json:"queued_when_full"`
	BacklogMax     uint64            `json:"backlog_max"`
	CQOverflows    uint64            `json:"cq_overflows"`
	NoBuffers      uint64            `json:"no_buffers"`
	InFlight       int               `json:"in_flight"`
	ByOpcode       map[string]uint64 `json:"by_opcode"`
}

// PipeStats describe the pipe pool.
type PipeStats struct {
	Open      int    `json:"open"`
	Lent      int    `json:"lent"`
	LentMax   int    `json:"lent_max"`
	Max       int    `json:"max"`
	Waiting   int    `json:"waiting"`
	Reclaimed uint64 `json:"reclaimed"`
}

// ColdCacheStats describe what subscribers read from a disk; see [pagecache.Counts].
type ColdCacheStats struct {
	LimitBytes     int64  `json:"limit_bytes"`
	HeldBytes      int64  `json:"held_bytes"`
	ReadaheadBytes uint64 `json:"readahead_bytes"`
	DroppedBytes   uint64 `json:"dropped_bytes"`
	BusyBytes      uint64 `json:"busy_bytes"`
}

// GroupStats describe the group coordinator; see [group.Counts].
type GroupStats struct {
	Groups      int    `json:"groups"`
	Members     int    `json:"members"`
	Offsets     int    `json:"offsets"`
	MemoryBytes int64  `json:"memory_bytes"`
	Rebalances  uint64 `json:"rebalances"`
	Expired     uint64 `json:"expired_members"`
	Refused     uint64 `json:"refused"`
}

// Stats is one consistent look at a running broker.
type Stats struct {
	PID              int            `json:"pid"`
	Transfer         string         `json:"transfer"`
	RingSize         int            `json:"ring_size"`
	UptimeSeconds    float64        `json:"uptime_seconds"`
	CPUUserSeconds   float64        `json:"cpu_user_seconds"`
	CPUSystemSeconds float64        `json:"cpu_system_seconds"`
	RSSBytes         uint64         `json:"rss_bytes"`
	RSSAnonBytes     uint64         `json:"rss_anon_bytes"`
	Ledger           LedgerStats    `json:"ledger"`
	Ring             RingStats      `json:"ring"`
	Pipes            PipeStats      `json:"pipes"`
	ColdCache        ColdCacheStats `json:"cold_cache"`
	Connections      int            `json:"connections"`
	WaitingFetches   int            `json:"waiting_fetches"`
	// ColdLookups are the searches for where a fetch begins that had to read the disk.
	ColdLookups uint64 `json:"cold_lookups"`
	// WaitingForMemory are connections whose requests or responses wait for --request-memory or --response-memory.
	WaitingForMemory int `json:"waiting_for_memory"`
	Topics           int `json:"topics"`
	Partitions       int `json:"partitions"`
	// PartitionsRefused have no log: their files are damaged.
	PartitionsRefused int                `json:"partitions_refused"`
	LogBytes          int64              `json:"log_bytes"`
	Accepted          uint64             `json:"accepted"`
	Closed            map[string]uint64  `json:"closed"`
	Requests          map[string]uint64  `json:"requests"`
	RequestSeconds    map[string]float64 `json:"request_seconds"`
	PublishedRecords  uint64             `json:"published_records"`
	ProduceErrors     uint64             `json:"produce_errors"`
	Duplicates        uint64             `json:"duplicate_batches"`
	Syncs             uint64             `json:"syncs"`
	SyncSeconds       float64            `json:"sync_seconds"`
	SyncErrors        uint64             `json:"sync_errors"`
	StaleCompletions  uint64             `json:"stale_completions"`
	Turns             uint64             `json:"turns"`
	TurnTimes         TurnStats          `json:"turn_times"`
	Groups            GroupStats         `json:"groups"`
	RequestMemory     int64              `json:"request_memory_bytes"`
	ResponseMemory    int64              `json:"response_memory_bytes"`
	// Budgets are the limits on memory and the like, by name.
	Budgets map[string]BudgetStats `json:"budgets"`
}

// BudgetStats are what is taken of a limit, in bytes unless the name says otherwise.
type BudgetStats struct {
	Used  int64 `json:"used"`
	Limit int64 `json:"limit"`
}

// budgets are all that the broker has.
func (b *Broker) budgets() []*budget.Budget {
	f := &b.frames
	d, r := &b.descriptors, &b.topics.room
	return []*budget.Budget{f.total, f.connections, f.overflow, b.blocks.budget, b.fetcher.Sessions(),
		r.partitions, d.all, d.files, d.connections}
}

// Stats is a snapshot taken on the loop's thread, between two turns. What the operating system knows about the process
// is added by [ReadProcess].
func (b *Broker) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	err := b.loop.Call(ctx, func() { s = b.snapshot() })
	return s, err
}

func (b *Broker) snapshot() Stats {
	k, p, l, commits := b.loop.Kernel.Stats(), b.engine.Pipes(), b.engine.Ledger, b.committer.Stats()
	s := Stats{
		Transfer:      b.config.Transfer.Mode.String(),
		RingSize:      b.config.Ring.Entries,
		UptimeSeconds: b.loop.Now().Seconds(),
		Ledger: LedgerStats{
			CacheToUserBytes:   l.CacheToUser.Load(),
			UserToSocketBytes:  l.UserToSocket.Load(),
			CacheToSocketBytes: l.CacheToSocket.Load(),
			ByReferenceBytes:   l.ByReference.Load(),
			HeaderBytes:        l.Headers.Load(),
			PublishedBytes:     b.counters.publishedBytes,
		},
		Ring: RingStats{
			Submitted: k.Submitted, Completed: k.Completed, Enters: k.Enters, QueuedWhenFull: k.QueuedWhenFull,
			BacklogMax: k.BacklogMax, CQOverflows: k.Overflows, NoBuffers: k.NoBuffers, InFlight: b.loop.Kernel.InFlight(),
			ByOpcode: make(map[string]uint64),
		},
		Pipes: PipeStats{Open: p.Open, Lent: p.Borrowed, LentMax: p.BorrowedMax, Max: p.Max,
			Waiting: p.Waiting, Reclaimed: p.Reclaimed},
		ColdCache:        ColdCacheStats(b.engine.PageCache.Counts()),
		Connections:      b.conns.open,
		WaitingFetches:   b.waiting.Len() + b.fetcher.Parked(),
		ColdLookups:      b.fetcher.Lookups(),
		WaitingForMemory: b.frames.waiting() + b.blocks.queue.n,
		Topics:           len(b.topics.byName),
		Accepted:         b.counters.accepted,
		Closed:           make(map[string]uint64),
		Requests:         make(map[string]uint64),
		RequestSeconds:   make(map[string]float64),
		Budgets:          make(map[string]BudgetStats),
		PublishedRecords: b.counters.publishedRecords,
		ProduceErrors:    b.counters.produceErrors,
		Duplicates:       b.counters.duplicates,
		Syncs:            commits.Syncs,
		SyncSeconds:      commits.SyncTime.Seconds(),
		SyncErrors:       commits.SyncErrors,
		StaleCompletions: b.counters.stale,
		Turns:            b.loop.Turn() - 1, // the one under way is not over
		TurnTimes:        b.turns.stats(),
		RequestMemory:    b.frames.total.Used(),
		ResponseMemory:   b.blocks.budget.Used(),
	}
	if b.groups.coordinator != nil {
		s.Groups = GroupStats(b.groups.coordinator.Counts())
	}
	for _, one := range b.budgets() {
		s.Budgets[one.Name()] = BudgetStats{one.Used(), one.Limit()}
	}
	b.addNamed(&s, k)
	return s
}

// addNamed adds the counts that go by name, and the sums over partitions.
func (b *Broker) addNamed(s *Stats, k ring.Stats) {
	for _, op := range ring.Opcodes() {
		s.Ring.ByOpcode[op.String()] = k.ByOpcode[op]
	}
	for r := range closeReasons {
		s.Closed[r.String()] = b.counters.closed[r]
	}
	for key, n := range b.counters.requests {
		if n > 0 {
			name := wire.Describe(int16(key))
			s.Requests[name] = n
			s.RequestSeconds[name] = time.Duration(b.counters.requestNanos[key]).Seconds()
		}
	}
	for _, tp := range b.topics.byName {
		s.Partitions += len(tp.partitions)
		s.PartitionsRefused += tp.offline()
		for p := range tp.online() {
			s.LogBytes += p.log.SizeBytes()
		}
	}
}
