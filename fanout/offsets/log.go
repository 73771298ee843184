package offsets

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/group"
	"oneplusn/fanout/loop"
)

// Topic is the offsets topic's name, as in Apache Kafka. Clients can read the topic but not write to it.
const Topic = "__consumer_offsets"

// Config bounds the coordinator.
type Config struct {
	// Group is the coordinator's; PartitionExists and MaxRecordBytes are set here.
	Group group.Config
	// MaxInflatedBytes bounds what one compressed batch is inflated to while the topic is read.
	MaxInflatedBytes int64
}

// Catalog knows the topics and the data directory.
type Catalog interface {
	// CreateInternal makes the topic with its [Settings].
	CreateInternal(done func(tp *catalog.Topic, err error))
	// Topic returns a topic, or nil.
	Topic(name string) *catalog.Topic
	// RemoveFiles removes files in the background.
	RemoveFiles(remove []func() error)
}

// Log is the coordinator and its log.
type Log struct {
	loop        *loop.Loop
	config      Config
	committer   *commit.Committer
	catalog     Catalog
	reply       func(ticket uint64, response kmsg.Response)
	coordinator *group.Coordinator // nil before the topic is made
	partitions  []*catalog.Partition
	waiting     []func(c *group.Coordinator, err error) // for the topic
	inFlight    output
	rewrites    []rewrite // by partition
	failures    loop.LogLimit
}

// New makes the log of a coordinator that has no topic yet. reply sends a response to the connection of a ticket, if that
// is still open.
func New(
	l *loop.Loop, config Config, committer *commit.Committer, topics Catalog, reply func(ticket uint64, response kmsg.Response),
) *Log {
	config.Group.PartitionExists = func(topic string, index int32) bool {
		tp := topics.Topic(topic)
		return tp != nil && index >= 0 && int(index) < len(tp.Partitions)
	}
	config.Group.MaxRecordBytes = maxMembershipBytes
	return &Log{loop: l, config: config, committer: committer, catalog: topics, reply: reply}
}

// use starts the coordinator on a topic whose logs are open.
func (l *Log) use(tp *catalog.Topic) {
	l.partitions = tp.Partitions
	l.coordinator = group.New(l.config.Group, len(tp.Partitions))
	l.rewrites = make([]rewrite, len(tp.Partitions))
}

// Start lets sessions and offsets expire, now that the loop's clock runs. deleted are topics that were removed at start.
func (l *Log) Start(deleted []string) {
	if l.coordinator == nil {
		return
	}
	l.coordinator.Restored(l.Instant())
	for _, topic := range deleted {
		l.TopicDeleted(topic)
	}
}

// Instant is the time of the turn for the coordinator.
func (l *Log) Instant() group.Instant {
	return group.Instant{Monotonic: l.loop.Now(), UnixMillis: l.loop.UnixMillis()}
}

// Coordinator returns the coordinator, or nil before the topic is made.
func (l *Log) Coordinator() *group.Coordinator { return l.coordinator }

// WithCoordinator calls do with the coordinator: at once, or after the topic has been made. err is the error of making it.
func (l *Log) WithCoordinator(do func(c *group.Coordinator, err error)) {
	if l.coordinator != nil {
		do(l.coordinator, nil)
		return
	}
	if l.waiting = append(l.waiting, do); len(l.waiting) > 1 {
		return
	}
	l.catalog.CreateInternal(func(tp *catalog.Topic, err error) {
		if err == nil {
			l.use(tp)
		}
		waiting := l.waiting
		l.waiting = nil
		for _, do := range waiting {
			do(l.coordinator, err)
		}
	})
}

// Turn runs due work, begins to write changes, and replies. It is called once a turn, after the requests.
func (l *Log) Turn() {
	if l.coordinator == nil {
		return
	}
	if at, ok := l.coordinator.Next(); ok && at <= l.loop.Now() {
		l.coordinator.Advance(l.Instant())
	}
	if l.inFlight.batches == 0 {
		l.rewrite() // its records go with those of the turn
	}
	l.flush()
}

// Next is when [Log.Turn] has something to do next.
func (l *Log) Next() time.Duration {
	if l.coordinator == nil {
		return loop.Never
	}
	until := loop.Never
	busy := l.inFlight.batches > 0 // the end of the write wakes the loop
	if l.coordinator.HasReplies() || !busy && l.coordinator.HasOutput() {
		until = l.loop.Now() // of connections that closed after the turn's output was taken
	} else if at, ok := l.coordinator.Next(); ok {
		until = at
	}
	for i := 0; i < len(l.rewrites) && !busy; i++ {
		until = min(until, l.rewrites[i].next)
	}
	return until
}

// ReplyReaped sends a response when the tombstones of all deleted offsets are durable, so that a restart brings none back.
func (l *Log) ReplyReaped(ticket uint64, response kmsg.Response) {
	if l.coordinator == nil {
		l.reply(ticket, response)
		return
	}
	l.coordinator.ReplyReaped(ticket, response)
}

// TopicDeleted forgets the offsets of a topic.
func (l *Log) TopicDeleted(topic string) {
	if l.coordinator != nil {
		l.coordinator.TopicDeleted(l.Instant(), topic)
	}
}

// Disconnected says that the connection of a ticket is closed.
func (l *Log) Disconnected(ticket uint64) {
	if l.coordinator != nil {
		l.coordinator.Disconnected(l.Instant(), ticket)
	}
}

// Shutdown answers every client that waits for a rebalance.
func (l *Log) Shutdown() {
	if l.coordinator != nil {
		l.coordinator.Shutdown()
	}
}

// Settled says that the coordinator has nothing left to write.
func (l *Log) Settled() bool { return l.coordinator == nil || l.coordinator.Settled() }
