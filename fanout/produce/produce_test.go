package produce

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/loop"
	"oneplusn/fanout/wire"
	"oneplusn/ring"
	"oneplusn/segment"
	"oneplusn/segment/records"
)

// lab is a producer with one topic, on a kernel whose fdatasyncs end when the test says so.
type lab struct {
	*Producer
	*kernel
	t         *testing.T
	partition commit.Partition
}

type kernel struct {
	ring.Kernel
	now   time.Duration
	woken chan struct{}
	syncs []ring.Token
}

func (k *kernel) Now() time.Duration { return k.now }
func (k *kernel) Queue(op ring.Op)   { k.syncs = append(k.syncs, op.Token) }
func (k *kernel) Wake() {
	select {
	case k.woken <- struct{}{}:
	default:
	}
}

func (l *lab) Find(topic []byte, index int32) (*commit.Partition, int16, string) {
	if string(topic) != "feed" || index != 0 {
		return nil, wire.CodeUnknownTopicOrPartition, ""
	}
	return &l.partition, 0, ""
}

func newLab(t *testing.T, fsync commit.Fsync) *lab {
	log, err := segment.Open(t.TempDir(), segment.Options{ManualCommit: fsync.Always}, segment.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	k := &kernel{now: time.Hour, woken: make(chan struct{}, 1)}
	l := &lab{t: t, kernel: k, partition: commit.NewPartition("feed", 0, log, fsync.Policy())}
	lp := loop.New(slog.New(slog.DiscardHandler), loop.ThisMachine())
	lp.Use(k)
	lp.Start()
	lp.BeginTurn()
	committer := commit.New(lp, commit.Config{Dir: t.TempDir()})
	l.Producer = New(lp, Config{Background: new(loop.Bounded)}, committer, l.Find)
	return l
}

func (l *lab) turn() {
	l.loop.BeginTurn()
	l.loop.RunTasks()
	l.committer.EndWrites()
	l.committer.BeginWrites()
	l.committer.BeginSyncs()
	l.Expire()
}

// until turns until something is so.
func (l *lab) until(what string, so func() bool) {
	l.t.Helper()
	deadline := time.After(20 * time.Second)
	for l.turn(); !so(); l.turn() {
		select {
		case <-l.woken:
		case <-deadline:
			l.t.Fatalf("never: %s", what)
		}
	}
}

// conn records its calls.
type conn struct {
	gone          bool
	pins, nothing int
	responses     [][]byte
	refused       error
}

func (c *conn) Open() bool             { return !c.gone }
func (c *conn) Pin()                   { c.pins++ }
func (c *conn) Unpin()                 { c.pins-- }
func (c *conn) Respond(encoded []byte) { c.responses = append(c.responses, bytes.Clone(encoded)) }
func (c *conn) RespondNothing()        { c.nothing++ }
func (c *conn) Refuse(err error)       { c.refused = err }

func batch() []byte {
	b := records.AppendRecord(make([]byte, records.HeaderSize), 0, nil, []byte("value"))
	records.Seal(b, records.NewBatch(1, 1))
	return b
}

// start starts a produce of one batch for each of the partitions given.
func (l *lab) start(p *Produce, acks int16, timeoutMillis int32, partitions ...int32) {
	l.t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 8, acks, timeoutMillis
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "feed"
	for _, index := range partitions {
		part := kmsg.NewProduceRequestTopicPartition()
		part.Partition, part.Records = index, batch()
		topic.Partitions = append(topic.Partitions, part)
	}
	req.Topics = append(req.Topics, topic)
	if err := p.Start(&wire.Header{Key: 0, Version: 8, CorrelationID: 5, Body: req.AppendTo(nil)}, 0); err != nil {
		l.t.Fatal(err)
	}
}

// answers are the parts of the only response.
func (c *conn) answers(t *testing.T) (parts []kmsg.ProduceResponseTopicPartition) {
	t.Helper()
	if len(c.responses) != 1 || c.nothing != 0 || c.refused != nil {
		t.Fatalf("%d responses, %d times none, refused: %v", len(c.responses), c.nothing, c.refused)
	}
	if id := binary.BigEndian.Uint32(c.responses[0][4:]); id != 5 {
		t.Errorf("the correlation id is %d", id)
	}
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = 8
	if err := resp.ReadFrom(c.responses[0][8:]); err != nil || len(resp.Topics) != 1 {
		t.Fatalf("%d topics, %v", len(resp.Topics), err)
	}
	return resp.Topics[0].Partitions
}

func TestProduceIsAnsweredOnceWithTheAnswersOfAllParts(t *testing.T) {
	l, c, p := newLab(t, commit.Fsync{}), new(conn), new(Produce)
	p.Open(l.Producer, c)
	l.start(p, -1, 1000, 0, 7, 0)
	if c.pins != 1 || len(c.responses) != 0 || l.Parked() != 1 {
		t.Fatalf("while it is written: %d pins, %d responses, %d wait", c.pins, len(c.responses), l.Parked())
	}
	l.until("the answer", func() bool { return c.pins == 0 })
	parts := c.answers(t)
	for i, want := range []struct {
		code   int16
		offset int64
	}{{0, 0}, {wire.CodeUnknownTopicOrPartition, -1}, {0, 1}} {
		if parts[i].ErrorCode != want.code || parts[i].BaseOffset != want.offset {
			t.Errorf("part %d: error %d, offset %d", i, parts[i].ErrorCode, parts[i].BaseOffset)
		}
	}
	if st := l.Producer.Stats(); st.PublishedRecords != 2 || st.ProduceErrors != 0 || l.Parked() != 0 {
		t.Errorf("%+v, %d wait", st, l.Parked())
	}
}

// With a wait for the disk, the answer comes with the sync or with the deadline, and not with both.
func TestProduceWaitsForTheSyncOrForItsDeadline(t *testing.T) {
	for _, late := range []bool{false, true} {
		l, c, p := newLab(t, commit.Fsync{Always: true}), new(conn), new(Produce)
		p.Open(l.Producer, c)
		l.start(p, 1, 1, 0)
		l.until("the sync", func() bool { return len(l.syncs) == 1 })
		if len(c.responses) != 0 || c.pins != 0 {
			t.Fatalf("before the sync has ended: %d responses, %d pins", len(c.responses), c.pins)
		}
		want := int16(0)
		if late {
			l.now += time.Second
			l.turn()
			want = wire.CodeRequestTimedOut
		}
		l.committer.Complete(ring.NewCompletion(l.syncs[0], 0, false, -1))
		l.until("the sync has ended", func() bool { return l.partition.Log.HighWatermark() == 1 })
		if parts := c.answers(t); parts[0].ErrorCode != want {
			t.Errorf("late: %v, error %d", late, parts[0].ErrorCode)
		}
	}
}

func TestProduceWithoutAnswerClosesTheConnectionIfItIsRefused(t *testing.T) {
	l, c, p := newLab(t, commit.Fsync{Always: true}), new(conn), new(Produce)
	p.Open(l.Producer, c)
	l.start(p, 0, 1000, 0)
	l.until("the write", func() bool { return c.pins == 0 })
	if c.nothing != 1 || c.refused != nil || len(c.responses) != 0 || l.Parked() != 0 {
		t.Errorf("%+v, %d wait", c, l.Parked())
	}
	l.start(p, 0, 1000, 0, 3)
	l.until("the write", func() bool { return c.pins == 0 })
	if c.nothing != 1 || c.refused == nil || len(c.responses) != 0 {
		t.Errorf("%+v", c)
	}
}

// A client that goes gets no answer, whatever its produce waits for, and its connection is free when that has ended.
func TestClientThatGoesDuringItsProduce(t *testing.T) {
	for _, stage := range []string{"check", "write", "sync"} {
		l, c, p := newLab(t, commit.Fsync{Always: true}), new(conn), new(Produce)
		p.Open(l.Producer, c)
		if stage == "check" {
			l.loop.BeginTurn()
			l.checks.turn = l.loop.Turn() // nothing is left of it
		}
		l.start(p, -1, 1000, 0)
		if stage == "check" && !p.parts[0].unchecked {
			t.Error("the batch was checked on the loop")
		}
		if stage == "sync" {
			l.until("the sync", func() bool { return len(l.syncs) == 1 })
		}
		c.gone = true
		p.Close()
		l.until("the end", func() bool { return c.pins == 0 })
		for _, token := range l.syncs {
			l.committer.Complete(ring.NewCompletion(token, 0, false, -1))
		}
		l.turn()
		if len(c.responses) != 0 || c.nothing != 0 || c.refused != nil || l.Parked() != 0 {
			t.Errorf("%s: %+v, %d wait", stage, c, l.Parked())
		}
	}
}

func TestProduceOfADeletedTopicIsToldSo(t *testing.T) {
	l, c, p := newLab(t, commit.Fsync{Always: true}), new(conn), new(Produce)
	p.Open(l.Producer, c)
	l.start(p, -1, 1000, 0)
	l.until("the sync", func() bool { return len(l.syncs) == 1 })
	l.committer.Remove(&l.partition, commit.ErrRemoved)
	if parts := c.answers(t); parts[0].ErrorCode != wire.CodeUnknownTopicOrPartition || *parts[0].ErrorMessage != "the topic was deleted" {
		t.Errorf("error %d: %s", parts[0].ErrorCode, *parts[0].ErrorMessage)
	}
	l.committer.Complete(ring.NewCompletion(l.syncs[0], 0, false, -1))
}

func TestProduceStartsAfterTheOneBefore(t *testing.T) {
	l, c, p := newLab(t, commit.Fsync{}), new(conn), new(Produce)
	p.Open(l.Producer, c)
	l.start(p, -1, 1000, 0)
	for what, wrong := range map[string]func(){
		"starts while": func() { l.start(p, -1, 1000, 0) }, "are dropped while": p.DropLists, "is answered,": p.SendAgain,
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, what) {
					t.Errorf("%q: the panic says %q", what, text)
				}
			}()
			wrong()
		}()
	}
	l.until("the answer", func() bool { return c.pins == 0 })
}

func TestEveryErrorHasItsCode(t *testing.T) {
	if r := refusal(errors.New("of the disk")); r.ErrorCode != wire.CodeKafkaStorageError || r.BaseOffset != -1 {
		t.Errorf("%+v", r)
	}
	for _, e := range codes {
		if r := refusal(errors.Join(e.err)); r.ErrorCode != e.code || r.ErrorMessage != e.err.Error() {
			t.Errorf("%v: %+v", e.err, r)
		}
	}
}
