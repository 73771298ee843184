package fetch

import (
	"time"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/heap"
	"oneplusn/fanout/loop"
	"oneplusn/segment/mark"
)

// Config configures a [Fetcher].
type Config struct {
	// MaxBytes bounds the records of a response, beside the client's own limit.
	MaxBytes int32
	// SessionMemoryBytes bounds the sessions of all connections.
	SessionMemoryBytes int64
	// MostPartitions is how many partitions a session may have.
	MostPartitions func() int64
	// MaxInflatedBytes bounds the inflated size of a batch in a search by time, and Inflating how many inflate at once.
	MaxInflatedBytes int64
	Inflating        *loop.Bounded
}

// The events of the flight recorder.
var (
	eventRespond = loop.NewEventKind("fetch answered", "partitions", "bytes")
	eventPark    = loop.NewEventKind("fetch parked", "partitions", "readable")
	eventLookUp  = loop.NewEventKind("fetch looked up", "partitions", "round")
)

// Find finds a partition. For one that cannot be read it is nil, with a Kafka error.
type Find func(topic []byte, index int32) (p *Partition, code int16)

// Fetcher owns what all fetches share. [New] makes it.
type Fetcher struct {
	loop     *loop.Loop
	config   Config
	find     Find
	sessions *budget.Budget
	warnings loop.LogLimit

	parked      heap.Heap[*Fetch]
	advanced    []*Partition // their high watermark moved in this turn
	evaluation  evaluation
	evaluations evaluations
	lookups     lookups
	lastSession int32 // the id that the newest session has
	stopping    bool
}

// New makes a fetcher, before the loop starts.
func New(l *loop.Loop, config Config, find Find) *Fetcher {
	return &Fetcher{
		loop: l, config: config, find: find,
		lookups:  lookups{queue: loop.Bounded{Most: maxLookups}, byKey: make(map[lookupKey]*lookup)},
		sessions: budget.New("fetch session", "raise --fetch-session-memory", config.SessionMemoryBytes),
	}
}

// Sessions is the budget of the sessions of all connections.
func (fr *Fetcher) Sessions() *budget.Budget { return fr.sessions }

// Parked is the number of fetches that wait for records.
func (fr *Fetcher) Parked() int { return fr.parked.Len() }

// Lookups is how many searches have read the disk.
func (fr *Fetcher) Lookups() uint64 { return fr.lookups.begun }

// Evaluated is how many partitions of fetches have been evaluated.
func (fr *Fetcher) Evaluated() uint64 { return fr.evaluations.partitions }

// BeginTurn is called once a turn of the loop, before anything else.
func (fr *Fetcher) BeginTurn() { fr.evaluations.until = fr.evaluations.partitions + EvaluatedPerTurn }

// Pending reports whether partitions that have advanced were left to the next turn.
func (fr *Fetcher) Pending() bool { return len(fr.advanced) > 0 }

// Next is when [Fetcher.Expire] has something to do next.
func (fr *Fetcher) Next() time.Duration {
	if fr.parked.Len() == 0 {
		return loop.Never
	}
	return fr.parked.First().deadline
}

// Stop answers every parked fetch with the data at hand. From now on none is parked.
func (fr *Fetcher) Stop() {
	fr.stopping = true
	for fr.parked.Len() > 0 {
		mark.Hit("a parked fetch was answered because the server stops")
		fr.parked.First().resume()
	}
}

// Remove ends the fetches that wait for a partition which the catalog does not find any more.
func (fr *Fetcher) Remove(p *Partition) {
	p.removed = true
	p.Advanced()
}

// EvaluatedPerTurn bounds the partitions evaluated in a turn, to some milliseconds: one publish or one deadline may make
// thousands of fetches of thousands of partitions ready at once.
const EvaluatedPerTurn = 20_000

// evaluations counts evaluations and their partitions.
type evaluations struct{ fetches, partitions, until uint64 }

// first reports whether this evaluation meets a partition for the first time.
func (e *evaluations) first(p *Partition) bool {
	before := p.evaluated
	p.evaluated = e.fetches
	return before != e.fetches
}

// enough reports whether the rest has to wait for the next turn.
func (e *evaluations) enough() bool { return e.partitions >= e.until }
