package offsets

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/group"
	"oneplusn/fanout/loop"
	"oneplusn/ring"
	"oneplusn/segment"
)

// lab is an offsets log on a real file, with a kernel whose fdatasyncs end when the test says so.
type lab struct {
	*Log
	t         *testing.T
	dir       string
	count     int // of partitions
	kernel    *kernel
	committer *commit.Committer
	topic     *catalog.Topic
	refuse    error // of the topic's creation
	tickets   uint64
	replies   map[uint64]kmsg.Response
	removed   int // files
}

type kernel struct {
	ring.Kernel
	now   time.Duration
	woken chan struct{}
	held  []ring.Token // fdatasyncs that have not ended
}

func (k *kernel) Now() time.Duration { return k.now }
func (k *kernel) Queue(op ring.Op)   { k.held = append(k.held, op.Token) }
func (k *kernel) Wake() {
	select {
	case k.woken <- struct{}{}:
	default:
	}
}

// newLab is a server that has just started on a directory.
func newLab(t *testing.T, dir string, partitions int) *lab {
	t.Helper()
	k := &kernel{now: time.Hour, woken: make(chan struct{}, 1)}
	l := &lab{t: t, dir: dir, count: partitions, kernel: k, replies: make(map[uint64]kmsg.Response)}
	shared := loop.New(slog.New(slog.DiscardHandler), loop.ThisMachine())
	shared.Use(k)
	shared.Start()
	l.committer = commit.New(shared, commit.Config{Dir: dir, SyncKind: 7})
	ids := 0
	config := Config{MaxInflatedBytes: 1 << 20, Group: group.Config{
		MinSessionTimeout: time.Second, MaxSessionTimeout: time.Hour, OffsetsRetention: time.Hour,
		MaxGroups: 10, MaxMembers: 10, MaxMetadataBytes: 100, MemoryBytes: 1 << 20,
		NewMemberID: func(client string) string { ids++; return fmt.Sprint(client, ids) },
	}}
	l.Log = New(shared, config, l.committer, l, func(ticket uint64, response kmsg.Response) {
		if l.replies[ticket] != nil {
			t.Fatalf("ticket %d is answered twice", ticket)
		}
		l.replies[ticket] = response
	})
	return l
}

func (l *lab) open() *catalog.Topic {
	l.t.Helper()
	l.topic = &catalog.Topic{Name: Topic}
	for i := range int32(l.count) {
		dir := filepath.Join(l.dir, fmt.Sprintf("%s-%d", Topic, i))
		log, err := segment.Open(dir, segment.Options{ManualCommit: true}, segment.OpenOptions{})
		if err != nil {
			l.t.Fatal(err)
		}
		l.t.Cleanup(func() { _ = log.Close() })
		l.topic.Partitions = append(l.topic.Partitions, &catalog.Partition{Topic: l.topic, Index: i, Log: log,
			Commit: commit.NewPartition(Topic, i, log, commit.Fsync{Always: true}.Policy())})
	}
	return l.topic
}

// The lab is the catalog.

func (l *lab) CreateInternal(done func(*catalog.Topic, error)) {
	l.Log.loop.Go(func() {}, func() {
		if l.refuse != nil {
			done(nil, l.refuse)
			return
		}
		done(l.open(), nil)
	})
}

func (l *lab) Topic(name string) *catalog.Topic {
	switch name {
	case Topic:
		return l.topic
	case "feed":
		return &catalog.Topic{Name: name, Partitions: make([]*catalog.Partition, 1)}
	}
	return nil
}

func (l *lab) RemoveFiles(remove []func() error) {
	for _, f := range remove {
		l.removed++
		if err := f(); err != nil {
			l.t.Error(err)
		}
	}
}

// turn does the work of one turn of the broker's loop.
func (l *lab) turn() {
	l.Log.loop.BeginTurn()
	l.Log.loop.RunTasks()
	l.committer.EndWrites()
	l.Turn()
	l.committer.BeginWrites()
	l.committer.BeginSyncs()
}

// until turns until something is so.
func (l *lab) until(what string, so func() bool) {
	l.t.Helper()
	deadline := time.After(20 * time.Second)
	for l.turn(); !so(); l.turn() {
		select {
		case <-l.kernel.woken:
		case <-deadline:
			l.t.Fatalf("never: %s", what)
		}
	}
}

// syncing turns until n fdatasyncs are under way.
func (l *lab) syncing(n int) {
	l.t.Helper()
	l.until("an fdatasync", func() bool { return len(l.kernel.held) == n })
}

// synced ends all fdatasyncs under way.
func (l *lab) synced(result int32) {
	l.t.Helper()
	held := l.kernel.held
	l.kernel.held = nil
	for _, token := range held {
		if !l.committer.Complete(ring.NewCompletion(token, result, false, -1)) {
			l.t.Errorf("the fdatasync %v is not known", token)
		}
	}
}

// commit hands over a commit of offset for partition 0 of feed, and returns its ticket.
func (l *lab) commit(name string, offset int64) uint64 {
	l.tickets++
	ticket := l.tickets
	l.WithCoordinator(func(c *group.Coordinator, err error) {
		if err != nil {
			l.reply(ticket, nil)
			return
		}
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Version, req.Group, req.Generation = 7, name, -1
		part := kmsg.NewOffsetCommitRequestTopicPartition()
		part.Offset = offset
		req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "feed", Partitions: []kmsg.OffsetCommitRequestTopicPartition{part}}}
		c.OffsetCommit(l.Instant(), group.Client{Ticket: ticket}, req)
	})
	return ticket
}

// committed returns a group's committed offsets.
func (l *lab) committed(name string) (offset int64, code int16) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = 5, name
	req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "feed", Partitions: []int32{0}}}
	p := l.Coordinator().OffsetFetch(req).(*kmsg.OffsetFetchResponse).Topics[0].Partitions[0]
	return p.Offset, p.ErrorCode
}

// answer is the error of a commit's answer, which must be there.
func (l *lab) answer(ticket uint64) int16 {
	l.t.Helper()
	resp, ok := l.replies[ticket].(*kmsg.OffsetCommitResponse)
	if !ok {
		l.t.Fatalf("ticket %d has no answer", ticket)
	}
	return resp.Topics[0].Partitions[0].ErrorCode
}

func (l *lab) waits(ticket uint64) {
	l.t.Helper()
	if l.replies[ticket] != nil {
		l.t.Fatalf("ticket %d is answered before its record is durable", ticket)
	}
}

var errNoSpace = errors.New("no space")
