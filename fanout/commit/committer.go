package commit

import (
	"errors"
	"fmt"
	"time"

	"oneplusn/fanout/loop"
	"oneplusn/segment"
	"oneplusn/segment/list"
	"oneplusn/segment/mark"
)

// Partition is the commit side of a partition. [NewPartition] makes it.
type Partition struct {
	Topic string
	Index int32
	Log   *segment.Log
	// Watcher is told when the high watermark has advanced; nil for nobody.
	Watcher Watcher

	highWatermark int64 // as the watcher knows it
	waiters       list.List[*Waiter]
	queue         appendQueue
	flush         flushState
	removed       error // why; nil while the partition is served
}

// Watcher is told that a partition's high watermark has advanced, possibly several times a turn. It must defer its work.
type Watcher interface{ Advanced() }

// NewPartition begins to look after a log.
func NewPartition(topic string, index int32, log *segment.Log, policy FlushPolicy) Partition {
	return Partition{Topic: topic, Index: index, Log: log, highWatermark: log.HighWatermark(), flush: flushState{policy: policy}}
}

// Policy returns when the partition is synced.
func (p *Partition) Policy() FlushPolicy { return p.flush.policy }

// Config configures a [Committer].
type Config struct {
	Dir          string // of all logs
	InlineWrites bool   // small writes may run on the loop's thread: see inlineWrites
	SyncKind     uint8  // the token kind of fdatasyncs
}

// Committer writes and syncs the logs of all partitions.
type Committer struct {
	loop    *loop.Loop
	kind    uint8
	due     []*Partition // a write can begin, as far as is known
	spare   []*Partition
	pending int // appends whose owner is not told yet
	writers writers
	inline  inlineWrites
	syncs   syncs
	stats   Stats
}

// Stats are counted from the start on.
type Stats struct {
	Syncs        uint64  `json:"syncs" metric:"syncs_total" help:"Group commits: fsyncs of a partition."`
	SyncSeconds  float64 `json:"sync_seconds" metric:"sync_seconds_total" help:"Time that group commits took."`
	SyncErrors   uint64  `json:"sync_errors" metric:"sync_errors_total" help:"Group commits that failed: each left a partition that takes no more writes."`
	InlineWrites uint64  `json:"-"` // that ran on the loop's thread
}

// What the flight recorder keeps: see [loop.Loop.Record].
var (
	eventWritten = loop.NewEventKind("written", "partition", "appends", "bytes")
	eventSynced  = loop.NewEventKind("synced", "partition", "offset", "files")
)

// New makes a committer. It uses the loop's kernel, from the first append on.
func New(l *loop.Loop, config Config) *Committer {
	c := &Committer{loop: l, kind: config.SyncKind, syncs: syncs{next: loop.Never}}
	c.inline.allowed = config.InlineWrites
	c.writers.loop = l
	return c
}

// Stats returns the counts.
func (c *Committer) Stats() Stats { return c.stats }

// Pending returns how many appends have not ended.
func (c *Committer) Pending() int { return c.pending }

// Next returns when [Committer.BeginSyncs] has something to do next.
func (c *Committer) Next() time.Duration { return c.syncs.next }

// Configure applies a new policy, after the log got the options that go with it ([segment.Options.ManualCommit]).
func (c *Committer) Configure(p *Partition, policy FlushPolicy) {
	p.flush.policy = policy
	c.advance(p)
	c.scheduleSync(p)
}

// ErrRemoved fails appends to a deleted topic, and its waiters.
var ErrRemoved = errors.New("the topic was deleted")

// Remove ends the work on a partition whose log is about to be deleted. All waiters and appends fail with the error, now or when the
// write in flight has ended.
func (c *Committer) Remove(p *Partition, err error) {
	if p.removed != nil || err == nil {
		panic(fmt.Sprintf("commit: %s is removed because of %v, it was because of %v", p, err, p.removed))
	}
	p.removed = err
	mark.HitIf(p.waiters.Len() > 0, "a topic was deleted while acknowledgements waited for a sync")
	mark.HitIf(p.queue.waiting.Len() > 0, "a topic was deleted while appends waited for a write")
	p.flush.unsynced = 0
	p.refuseWaiters(err)
	c.RefuseQueued(p, err)
}

// Work runs the file work that a log has put off ([segment.Log.Work]), until there is none.
func (c *Committer) Work(p *Partition) {
	work := p.Log.Work()
	if work == nil {
		return
	}
	var done func()
	c.loop.Go(func() { done = work() }, func() {
		done()
		c.Work(p)
		c.scheduleWrite(p) // appends may have waited for it
	})
}

// String names the partition like its directory.
func (p *Partition) String() string { return fmt.Sprintf("%s-%d", p.Topic, p.Index) }
