package produce

import (
	"cmp"
	"errors"
	"time"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/heap"
	"oneplusn/fanout/loop"
	"oneplusn/segment"
)

// Config configures a [Producer].
type Config struct {
	// LeastWait is the shortest wait of a produce for its write and its sync, whatever its timeout; 0 for a second. A disk that
	// takes so long is slow, not broken, and a retry would not make it faster.
	LeastWait time.Duration
	// Background is for checks that take long.
	Background *loop.Bounded
}

// Find finds a batch's partition, or returns the error for the producer.
type Find func(topic []byte, index int32) (p *commit.Partition, code int16, message string)

// Producer has the state that the produces of all connections share.
type Producer struct {
	loop      *loop.Loop
	config    Config
	committer *commit.Committer
	find      Find
	checks    checks
	parked    heap.Heap[*Produce] // those that wait, by their deadline
	stats     Stats
	log       loop.LogLimit
}

// Stats are counted from the start on.
type Stats struct {
	PublishedBytes   uint64 `json:"-"`
	PublishedRecords uint64 `json:"published_records" metric:"published_records_total" help:"Records appended."`
	ProduceErrors    uint64 `json:"produce_errors" metric:"produce_errors_total" help:"Produce requests refused or failed, by partition."`
	Duplicates       uint64 `json:"duplicate_batches" metric:"duplicate_batches_total" help:"Batches that idempotent producers retried, and that were not appended again."`
}

// New makes a producer.
func New(l *loop.Loop, config Config, committer *commit.Committer, find Find) *Producer {
	config.LeastWait = cmp.Or(config.LeastWait, time.Second)
	return &Producer{loop: l, config: config, committer: committer, find: find}
}

// Stats returns the counts.
func (pr *Producer) Stats() Stats { return pr.stats }

// Parked is how many produces wait for the disk.
func (pr *Producer) Parked() int { return pr.parked.Len() }

// Next is when [Producer.Expire] has something to do next.
func (pr *Producer) Next() time.Duration {
	if pr.parked.Len() == 0 {
		return loop.Never
	}
	return pr.parked.First().deadline
}

// Expire answers the produces whose deadline has passed.
func (pr *Producer) Expire() {
	for pr.parked.Len() > 0 && pr.parked.First().deadline <= pr.loop.Now() {
		pr.parked.First().timeOut()
	}
}

// failed counts a refused batch, and logs failures of the disk. The client logs errors in its own batches.
func (pr *Producer) failed(p *commit.Partition, err error) {
	pr.stats.ProduceErrors++
	if errors.Is(err, segment.ErrStorage) && pr.log.Allow(pr.loop.Now()) {
		pr.loop.Log.Error("append failed", "topic", p.Topic, "partition", p.Index, "error", err, "remedy", commit.StorageRemedy(err))
	}
}
