package catalog

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/fetch"
	"oneplusn/fanout/loop"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/invariants"
)

// What the flight recorder keeps of changes.
var (
	eventCreate    = loop.NewEventKind("create", "topics", "failed")
	eventDelete    = loop.NewEventKind("delete", "topics")
	eventConfigure = loop.NewEventKind("configure", "partitions")
)

// Config configures a [Catalog].
type Config struct {
	Dir    string
	NodeID int32      // of a directory that has none yet
	FS     segment.FS // nil for the real one
	// Defaults apply where a topic has no setting of its own. MaxBatchBytes bounds both.
	Defaults      *TopicConfig
	MaxBatchBytes int
	// Internal is the server's own topic: clients cannot change it.
	Internal         string
	InternalSettings map[string]string
	// NewPartitions is the default number of partitions of a new topic.
	NewPartitions int
	MaxPartitions int // of all topics
	// AutoCreateLimit is the number of topics from which automatic creation stops.
	AutoCreateLimit int
	OpenFilesLimit  int64 // of the process, for its error message
	ExpireEvery     time.Duration
	CheckpointEvery time.Duration
}

// Catalog is the table of topics, and the data directory that holds them.
type Catalog struct {
	config    Config
	loop      *loop.Loop
	committer *commit.Committer
	fetcher   *fetch.Fetcher
	deleted   func(topic string)
	unlock    func() // lets another process have the data directory
	closer    segment.Closer
	byName    map[string]*Topic
	sorted    []string // the names of byName; nil if topics came or went
	changes   changeQueue
	identity  identity
	ids       producerIDs
	epochs    leaderEpochs
	room      room
	// starts are the offsets to which DeleteRecords moved the start of logs, by directory.
	starts     map[string]int64
	startsFile sharedFile
	pointsFile sharedFile
	// unfinished are removals whose directories are still in place, by topic: they end before the name is used again.
	unfinished map[string]*removal
	// RemovedAtStart are the topics whose removal the start has finished.
	RemovedAtStart []string
	refusalLog     loop.LogLimit
	nextExpiry     time.Duration
	nextCheckpoint time.Duration
}

// Open locks a data directory and recovers every partition in it. It blocks.
func Open(l *loop.Loop, config Config) (*Catalog, error) {
	c := &Catalog{config: config, loop: l, byName: make(map[string]*Topic), unfinished: make(map[string]*removal)}
	if c.config.FS == nil {
		c.config.FS = segment.OS
	}
	c.closer.Spawn = l.Spawn
	c.config.Defaults.Options.Closer = &c.closer
	c.startsFile = sharedFile{jobs: l, snapshot: c.snapshotStarts}
	c.pointsFile = sharedFile{jobs: l, snapshot: c.snapshotPoints}
	if err := c.config.FS.MkdirAll(config.Dir); err != nil {
		return nil, fmt.Errorf("cannot make the data directory: %w: choose another with --data", err)
	}
	var err error
	if c.unlock, err = segment.LockDataDir(c.config.FS, config.Dir); err != nil {
		return nil, err
	}
	if err := c.recover(); err != nil {
		c.unlock()
		return nil, err
	}
	return c, nil
}

// Serve sets what the catalog needs before the loop starts: the budget of open files, of which the existing partitions take theirs,
// the parts that work on partitions, and a function that is called for each deleted topic.
func (c *Catalog) Serve(files *budget.Budget, committer *commit.Committer, fetcher *fetch.Fetcher, deleted func(topic string)) {
	c.room = newRoom(c.config.MaxPartitions, c.PartitionCount(), files)
	c.committer, c.fetcher, c.deleted = committer, fetcher, deleted
}

// PartitionCount is how many partitions take room.
func (c *Catalog) PartitionCount() (n int) {
	for tp := range c.all() {
		n += tp.counted()
	}
	return n
}

// Topic returns the topic of a name, or nil.
func (c *Catalog) Topic(name string) *Topic { return c.byName[name] }

// NodeID is this node's id, from the data directory.
func (c *Catalog) NodeID() int32 { return c.identity.nodeID }

// ClusterID was drawn at random when the data directory was made.
func (c *Catalog) ClusterID() string { return c.identity.clusterID }

// PartitionBudget counts the partitions of all topics but the server's own.
func (c *Catalog) PartitionBudget() *budget.Budget { return c.room.partitions }

// Defaults apply where a topic has no setting of its own.
func (c *Catalog) Defaults() *TopicConfig { return c.config.Defaults }

// TakeProducerID calls done on the loop with a new id: at once, or when more are reserved.
func (c *Catalog) TakeProducerID(done func(id int64, err error)) { c.ids.take(done) }

// Changing reports whether a change of the topic of that name runs or waits.
func (c *Catalog) Changing(name string) bool { return c.changes.has(name) }

// CountPartitions is how many partitions the topics have together.
func (c *Catalog) CountPartitions(names []string) (n int) {
	for _, name := range names {
		if tp := c.byName[name]; tp != nil {
			n += len(tp.Partitions)
		}
	}
	return n
}

// Stats are sums over all topics.
type Stats struct {
	Topics            int   `json:"topics" metric:"topics" help:"Topics."`
	Partitions        int   `json:"partitions" metric:"partitions" help:"Partitions."`
	PartitionsRefused int   `json:"partitions_refused" metric:"partitions_refused" help:"Partitions that are not served because their files are damaged: see the log."`
	LogBytes          int64 `json:"log_bytes" metric:"log_bytes" help:"Bytes in all logs."`
}

// Stats walks through all partitions.
func (c *Catalog) Stats() Stats {
	s := Stats{Topics: len(c.byName)}
	for tp := range c.all() {
		s.Partitions += len(tp.Partitions)
		s.PartitionsRefused += tp.Offline()
		for p := range tp.Online() {
			s.LogBytes += p.Log.SizeBytes()
		}
	}
	return s
}

// SortedNames returns the names of all topics. The slice is the catalog's.
func (c *Catalog) SortedNames() []string {
	if c.sorted == nil {
		c.sorted = slices.Sorted(maps.Keys(c.byName))
	}
	return c.sorted
}

// all yields the topics in the order of their names: a run that is repeated repeats the order.
func (c *Catalog) all() iter.Seq[*Topic] {
	return func(yield func(*Topic) bool) {
		for _, name := range c.SortedNames() {
			if !yield(c.byName[name]) {
				return
			}
		}
	}
}

// add begins to serve a topic.
func (c *Catalog) add(tp *Topic) {
	if c.byName[tp.Name] != nil {
		panic("catalog: there are two topics of the name " + tp.Name)
	}
	c.byName[tp.Name], c.sorted = tp, nil
}

// Find returns the partition of a request, or nil and a Kafka error. It does not allocate.
func (c *Catalog) Find(topic []byte, index int32) (p *Partition, code int16) {
	tp := c.byName[string(topic)]
	if tp == nil || index < 0 || int(index) >= len(tp.Partitions) {
		return nil, wire.CodeUnknownTopicOrPartition
	}
	if p := tp.Partitions[index]; p.Offline == nil {
		return p, 0
	}
	return nil, wire.CodeKafkaStorageError
}

// serves reports whether a partition is still the one of its name, and online. Completions and tasks check it before they touch the
// partition: it may have been deleted meanwhile.
func (c *Catalog) serves(p *Partition) bool {
	tp := c.byName[p.Topic.Name]
	return tp == p.Topic && int(p.Index) < len(tp.Partitions) && tp.Partitions[p.Index] == p && p.Offline == nil
}

// Idle reports whether no change of the data directory is under way.
func (c *Catalog) Idle() bool {
	return c.changes.idle() && !c.startsFile.writing && !c.pointsFile.writing && !c.epochs.file.writing && !c.ids.file.writing
}

// Turn runs the work that is due by the clock.
func (c *Catalog) Turn() {
	now := c.loop.Now()
	if now >= c.nextCheckpoint {
		c.nextCheckpoint = now + c.config.CheckpointEvery
		c.checkpoint()
		if taken := c.room.partitions.Used(); invariants.Enabled && c.Idle() && taken != int64(c.PartitionCount()) {
			panic(fmt.Sprintf("catalog: %d partitions have taken room, %d are there", taken, c.PartitionCount()))
		}
	}
	if now >= c.nextExpiry {
		c.nextExpiry = now + c.config.ExpireEvery
		c.expireSegments()
	}
}

// Close ends cleanly: the next start need not scan the logs. It blocks, after the loop has ended.
func (c *Catalog) Close() error {
	defer c.unlock()
	offline := c.Stats().PartitionsRefused
	err := c.closeLogs()
	c.Settle()
	if c.room.partitions != nil {
		c.room.give(c.PartitionCount())
	}
	c.byName = nil
	if err != nil {
		return err
	}
	if offline > 0 {
		return nil // what a crash did to them has yet to be found out
	}
	return segment.WriteCleanMark(c.config.FS, c.config.Dir)
}

// closeAtOnce is how many logs are closed concurrently: each waits for the disk several times, and the disk batches concurrent
// waits.
const closeAtOnce = 32

// closeLogs closes every log, which writes what a clean stop leaves behind.
func (c *Catalog) closeLogs() error {
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		errs  []error
		slots = make(chan struct{}, closeAtOnce)
	)
	closeOne := func(p *Partition) {
		if err := p.Log.Close(); err != nil {
			c.loop.Log.Error("closing a partition", "topic", p.Topic.Name, "partition", p.Index, "error", err)
			mu.Lock()
			errs = append(errs, err)
			mu.Unlock()
		}
	}
	for tp := range c.all() {
		for p := range tp.Online() {
			if c.loop.OneThread {
				closeOne(p)
				continue
			}
			slots <- struct{}{}
			wait.Add(1)
			c.loop.Spawn(func() {
				defer wait.Done()
				defer func() { <-slots }()
				closeOne(p)
			})
		}
	}
	wait.Wait()
	c.closer.Wait()
	return errors.Join(errs...)
}
