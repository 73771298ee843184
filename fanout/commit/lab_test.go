package commit

import (
	"log/slog"
	"testing"
	"time"

	"oneplusn/fanout/group"
	"oneplusn/fanout/loop"
	"oneplusn/ring"
	"oneplusn/segment"
)

// lab is a committer on a kernel whose fdatasyncs end when the test says so, and whose time moves when it says so.
type lab struct {
	*Committer
	t     *testing.T
	loop  *loop.Loop
	disk  *disk
	woken chan struct{}
}

type disk struct {
	ring.Kernel
	now   time.Duration
	woken chan struct{}
	held  []ring.Token // fdatasyncs that have not ended
}

func (d *disk) Now() time.Duration { return d.now }
func (d *disk) Queue(op ring.Op)   { d.held = append(d.held, op.Token) }
func (d *disk) Wake() {
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

const syncKind = 7

func newLab(t *testing.T) *lab {
	d := &disk{now: time.Hour, woken: make(chan struct{}, 1)}
	l := loop.New(slog.New(slog.DiscardHandler), loop.ThisMachine())
	l.Use(d)
	l.Start()
	c := New(l, Config{Dir: t.TempDir(), SyncKind: syncKind})
	return &lab{Committer: c, t: t, loop: l, disk: d, woken: d.woken}
}

// partition opens a log of its own.
func (l *lab) partition(fsync Fsync) *Partition {
	l.t.Helper()
	log, err := segment.Open(l.t.TempDir(), segment.Options{ManualCommit: fsync.Always}, segment.OpenOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = log.Close() })
	p := NewPartition("feed", 3, log, fsync.Policy())
	return &p
}

// turn does the work of one turn of the broker's loop.
func (l *lab) turn() {
	l.loop.BeginTurn()
	l.loop.RunTasks()
	l.EndWrites()
	l.BeginWrites()
	l.BeginSyncs()
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

// end ends all fdatasyncs under way.
func (l *lab) end(result int32) {
	l.t.Helper()
	held := l.disk.held
	l.disk.held = nil
	for _, token := range held {
		if !l.Complete(ring.NewCompletion(token, result, false, -1)) {
			l.t.Errorf("the fdatasync %v is not known", token)
		}
	}
}

// batchOf is a batch with one record of a size.
func batchOf(bytes int) []byte {
	batch, _ := group.AppendBatch(nil, []group.Record{{Value: make([]byte, bytes)}}, 1)
	return batch
}

// told is an owner that records its notifications.
type told struct {
	Append
	Waiter
	offset         int64
	appends, waits int
	err            error
}

func (o *told) Appended(_ *Partition, appended segment.Appended, err error) {
	o.appends++
	o.offset, o.err = appended.BaseOffset, err
}

func (o *told) Committed(err error) {
	o.waits++
	o.err = err
}

// publish appends a batch.
func (l *lab) publish(p *Partition) *told {
	l.t.Helper()
	o := new(told)
	o.Append.Owner, o.Waiter.Owner, o.Batches = o, o, batchOf(100)
	var err error
	if o.Checked, err = p.Log.Check(o.Batches); err != nil {
		l.t.Fatal(err)
	}
	l.Append(p, &o.Append)
	return o
}
