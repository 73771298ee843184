package fanout

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/loop"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// catalogConfig is what a catalog goes by.
type catalogConfig struct {
	dir    string
	nodeID int32 // of a directory that has none yet
	fs     segment.FS
	// defaults are what a topic's own settings override, up to batches of maxBatchBytes.
	defaults      *topicConfig
	maxBatchBytes int
	// internal is the server's own topic: clients cannot change it.
	internal         string
	internalSettings map[string]string
	// newPartitions is the number of partitions of a topic whose creator does not say.
	newPartitions int
	maxPartitions int // of all topics
	// autoCreateLimit is the number of topics from which on asking for one creates no more.
	autoCreateLimit int
	openFilesLimit  int64 // of the process, for its error message
	expireEvery     time.Duration
	checkpointEvery time.Duration
}

// catalogFollower hears of what happens to topics and partitions.
type catalogFollower interface {
	topicDeleted(name string)
	partitionRemoved(p *partition) // its log is about to be deleted
	partitionConfigured(p *partition)
	logWork(p *partition) // the log may have put work off
}

// catalog is the table of topics, and the data directory that holds them.
type catalog struct {
	config   catalogConfig
	loop     *loop.Loop
	follower catalogFollower
	unlock   func() // gives the data directory back; nil once it has
	closer   segment.Closer
	byName   map[string]*topic
	sorted   []string // the names of byName; nil if topics came or went
	changes  changeQueue
	identity identity
	ids      producerIDs
	epochs   leaderEpochs
	room     room
	// starts are the offsets to which DeleteRecords moved the start of logs, by directory.
	starts     map[string]int64
	startsFile sharedFile
	points     RecoveryPoints // as the start found them
	pointsFile sharedFile
	// unfinished are removals whose directories are still in place, by topic: they end before the name is used again.
	unfinished map[string]*removal
	// removedAtStart are the topics whose removal the start has finished.
	removedAtStart []string
	refusalLog     loop.LogLimit
	nextExpiry     time.Duration
	nextCheckpoint time.Duration
	checkpointing  bool
}

// openCatalog locks a data directory and recovers every partition in it. It blocks.
func openCatalog(l *loop.Loop, config catalogConfig, follower catalogFollower) (*catalog, error) {
	c := &catalog{config: config, loop: l, follower: follower, byName: make(map[string]*topic), unfinished: make(map[string]*removal)}
	if c.config.fs == nil {
		c.config.fs = segment.OS
	}
	c.config.defaults.options.Closer = &c.closer
	c.startsFile = sharedFile{jobs: l, snapshot: c.snapshotStarts}
	c.pointsFile = sharedFile{jobs: l, snapshot: c.snapshotPoints}
	if err := os.MkdirAll(config.dir, 0o755); err != nil {
		return nil, fmt.Errorf("fanout: cannot make the data directory: %w: choose another with --data", err)
	}
	var err error
	if c.unlock, err = segment.LockDataDir(config.dir); err != nil {
		return nil, err
	}
	if err := c.recover(); err != nil {
		c.giveBack()
		return nil, err
	}
	return c, nil
}

// useFiles sets the budget of open files. The existing partitions take theirs.
func (c *catalog) useFiles(files *budget.Budget) {
	c.room = newRoom(c.config.maxPartitions, c.partitionCount(), files)
}

// partitionCount is how many partitions take room.
func (c *catalog) partitionCount() (n int) {
	for _, tp := range c.byName {
		n += tp.counted()
	}
	return n
}

// sortedNames returns the names of all topics. The slice is the catalog's.
func (c *catalog) sortedNames() []string {
	if c.sorted == nil {
		c.sorted = make([]string, 0, len(c.byName))
		for name := range c.byName {
			c.sorted = append(c.sorted, name)
		}
		slices.Sort(c.sorted)
	}
	return c.sorted
}

// add begins to serve a topic.
func (c *catalog) add(tp *topic) {
	if c.byName[tp.name] != nil {
		panic("fanout: there are two topics of the name " + tp.name)
	}
	c.byName[tp.name], c.sorted = tp, nil
}

// find returns the partition of a request, or nil: then missing tells why. It does not allocate.
func (c *catalog) find(name []byte, index int32) *partition {
	tp := c.byName[string(name)]
	if tp == nil || index < 0 || int(index) >= len(tp.partitions) {
		return nil
	}
	if p := tp.partitions[index]; p.refused == nil {
		return p
	}
	return nil
}

// missing is the error for a partition that find does not find.
func (c *catalog) missing(name []byte, index int32) int16 {
	tp := c.byName[string(name)]
	if tp == nil || index < 0 || int(index) >= len(tp.partitions) {
		return wire.CodeUnknownTopicOrPartition
	}
	return wire.CodeKafkaStorageError
}

// serves reports whether a partition is still the one of its name, and online. What comes back to the loop late asks before it
// touches the partition: it may have been deleted meanwhile.
func (c *catalog) serves(p *partition) bool {
	tp := c.byName[p.topic.name]
	return tp == p.topic && int(p.index) < len(tp.partitions) && tp.partitions[p.index] == p && p.refused == nil
}

// idle reports whether no change of the data directory is under way.
func (c *catalog) idle() bool {
	return c.changes.idle() && !c.startsFile.writing && !c.pointsFile.writing && !c.epochs.file.writing && !c.ids.file.writing
}

// turn does what is due by the clock.
func (c *catalog) turn() {
	now := c.loop.Now()
	if now >= c.nextCheckpoint {
		c.nextCheckpoint = now + c.config.checkpointEvery
		c.checkpoint()
	}
	if now >= c.nextExpiry {
		c.nextExpiry = now + c.config.expireEvery
		c.expireSegments()
	}
}

// giveBack lets another process have the data directory.
func (c *catalog) giveBack() {
	if c.unlock != nil {
		c.unlock()
		c.unlock = nil
	}
}

// close ends cleanly: the next start need not scan the logs. It blocks, after the loop has ended.
func (c *catalog) close() error {
	defer c.giveBack()
	offline := 0
	for _, tp := range c.byName {
		offline += tp.offline()
	}
	err := c.closeLogs()
	c.settle()
	if c.room.partitions != nil {
		c.room.give(c.partitionCount())
	}
	c.byName = nil
	if err != nil {
		return err
	}
	if offline > 0 {
		return nil // what a crash did to them has yet to be found out
	}
	return segment.WriteCleanMark(segment.OS, c.config.dir)
}

// closeAtOnce is how many logs are closed at the same time: each waits for the disk several times, and the disk serves those
// who wait together at once.
const closeAtOnce = 32

// closeLogs closes every log, which writes what a clean stop leaves behind.
func (c *catalog) closeLogs() error {
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		errs  []error
		slots = make(chan struct{}, closeAtOnce)
	)
	for _, tp := range c.byName {
		for p := range tp.online() {
			slots <- struct{}{}
			wait.Go(func() {
				defer func() { <-slots }()
				if err := p.log.Close(); err != nil {
					c.loop.Log.Error("closing a partition", "topic", tp.name, "partition", p.index, "error", err)
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			})
		}
	}
	wait.Wait()
	c.closer.Wait()
	return errors.Join(errs...)
}
