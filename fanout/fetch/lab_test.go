package fetch

import (
	"bytes"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"oneplusn/fanout/loop"
	"oneplusn/fanout/transfer"
	"oneplusn/fanout/wire"
	"oneplusn/ring"
	"oneplusn/segment"
	"oneplusn/segment/records"
)

// lab is a fetcher with real logs, whose clock and page cache are the test's.
type lab struct {
	*Fetcher
	t          *testing.T
	now        time.Duration
	cold       atomic.Bool // nothing is in the page cache
	partitions []*Partition
	conns      []*conn
}

func newLab(t *testing.T, partitions int, change func(*Config)) *lab {
	t.Helper()
	l := &lab{t: t}
	config := Config{MaxBytes: 1 << 20, SessionMemoryBytes: 1 << 20, MostPartitions: func() int64 { return 1000 },
		MaxInflatedBytes: 1 << 20, Inflating: new(loop.Bounded)}
	if change != nil {
		change(&config)
	}
	running := loop.New(slog.New(slog.DiscardHandler), loop.ThisMachine())
	running.Use(labKernel{lab: l})
	l.Fetcher = New(running, config, l.Find)
	options := segment.Options{FS: labFS{segment.OS, &l.cold}, SegmentBytes: 4096}
	for i := range partitions {
		log, err := segment.Open(t.TempDir(), options, segment.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		l.partitions = append(l.partitions, &Partition{Topic: "feed", Index: int32(i), Log: log})
		t.Cleanup(func() { _ = log.Close() })
	}
	t.Cleanup(l.end)
	l.turn()
	return l
}

// end ends every connection, after which nothing may be left.
func (l *lab) end() {
	for _, c := range l.conns {
		c.End()
	}
	l.untilLookedUp()
	if l.Parked() != 0 || l.sessions.Used() != 0 || len(l.lookups.byKey) != 0 {
		l.t.Errorf("after the end %d fetches are parked, %d bytes of sessions are taken, %d lookups are known",
			l.Parked(), l.sessions.Used(), len(l.lookups.byKey))
	}
	for _, p := range l.partitions {
		if p.waiting.Len() != 0 {
			l.t.Errorf("after the end %d fetches wait for partition %d", p.waiting.Len(), p.Index)
		}
	}
}

func (l *lab) Find(topic []byte, index int32) (*Partition, int16) {
	if string(topic) != "feed" || int(index) >= len(l.partitions) || l.partitions[index].removed {
		return nil, wire.CodeUnknownTopicOrPartition
	}
	return l.partitions[index], 0
}

// turn is one turn of the loop.
func (l *lab) turn() {
	l.loop.BeginTurn()
	l.BeginTurn()
	l.loop.RunTasks()
	l.WakeAdvanced()
	l.Expire()
}

// untilLookedUp turns until no lookup is left.
func (l *lab) untilLookedUp() {
	for limit := time.Now().Add(10 * time.Second); l.loop.Working(); l.turn() {
		if time.Now().After(limit) {
			l.t.Fatal("lookups do not end")
		}
		time.Sleep(time.Millisecond)
	}
}

// publish appends a batch of one record of so many bytes.
func (l *lab) publish(partition, bytes int) {
	l.t.Helper()
	batch := records.AppendRecord(make([]byte, records.HeaderSize), 0, nil, make([]byte, bytes))
	records.Seal(batch, records.NewBatch(1, time.Now().UnixMilli()))
	p := l.partitions[partition]
	if _, err := p.Log.Append(batch, time.Now().UnixMilli()); err != nil {
		l.t.Fatal(err)
	}
	for work := p.Log.Work(); work != nil; work = p.Log.Work() {
		work()()
	}
	p.Advanced()
}

// conn is a connection that takes every response at once.
type conn struct {
	Fetch
	lab       *lab
	full      bool // there is no room for responses
	responses []*kmsg.FetchResponse
	failed    error
	charged   int64
}

func (l *lab) dial() *conn {
	c := &conn{lab: l}
	c.Open(l.Fetcher, c)
	l.conns = append(l.conns, c)
	return c
}

func (c *conn) Place(header []byte) ([]byte, bool) { return bytes.Clone(header), !c.full }
func (c *conn) Parts() []transfer.Part             { return nil }
func (c *conn) Fail(err error)                     { c.failed = err }
func (c *conn) ChargeLists()                       { c.charged = c.ListBytes() }

func (c *conn) Send(parts []transfer.Part) {
	var frame []byte
	for _, p := range parts {
		frame = append(frame, p.Header...)
		if p.Source == nil {
			continue
		}
		piece := make([]byte, p.Len)
		if n, err := unix.Pread(p.Source.Fd(), piece, p.Pos); n != len(piece) {
			c.lab.t.Fatalf("%d of %d bytes at %d: %v", n, p.Len, p.Pos, err)
		}
		frame = append(frame, piece...)
		p.Source.Release()
	}
	size, _, err := wire.FrameSize(frame, 1<<30)
	resp := &kmsg.FetchResponse{Version: 11}
	if err == nil {
		err = resp.ReadFrom(frame[8:])
	}
	if err != nil || size != len(frame)-wire.FrameSizeBytes {
		c.lab.t.Fatalf("a response of %d bytes, the frame says %d: %v", len(frame), size, err)
	}
	c.responses = append(c.responses, resp)
}

// request is a fetch of some partitions from their starts.
func request(partitions ...int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 11, 1000, 1, 1<<20, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "feed"
	for _, p := range partitions {
		want := kmsg.NewFetchRequestTopicPartition()
		want.Partition, want.CurrentLeaderEpoch, want.PartitionMaxBytes = p, -1, 1<<20
		topic.Partitions = append(topic.Partitions, want)
	}
	req.Topics = append(req.Topics, topic)
	return req
}

// ask starts a request, and returns the response if there is one at once.
func (c *conn) ask(req *kmsg.FetchRequest) *kmsg.FetchResponse {
	c.lab.t.Helper()
	before := len(c.responses)
	if err := c.Start(&wire.Header{Version: 11, Body: req.AppendTo(nil)}, 1000); err != nil {
		c.lab.t.Fatal(err)
	}
	if len(c.responses) == before {
		return nil
	}
	return c.responses[before]
}

// bytesOf are the sizes of the records of a response's partitions.
func bytesOf(resp *kmsg.FetchResponse) (sizes []int) {
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			sizes = append(sizes, len(p.RecordBatches))
		}
	}
	return sizes
}

// mustPanic holds that an assertion fails, with a text.
func mustPanic(t *testing.T, text string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got, _ := recover().(string); !strings.Contains(got, text) {
			t.Errorf("panic %q, want one with %q", got, text)
		}
	}()
	f()
}

type labKernel struct {
	ring.Kernel
	lab *lab
}

func (k labKernel) Now() time.Duration { return k.lab.now }
func (k labKernel) Wake()              {}

// labFS has files of which nothing is in the page cache, if the test says so.
type labFS struct {
	segment.FS
	cold *atomic.Bool
}

type labFile struct {
	segment.File
	cold *atomic.Bool
}

func (f labFS) Open(path string, access segment.Access) (segment.File, error) {
	file, err := f.FS.Open(path, access)
	if err != nil {
		return nil, err
	}
	return labFile{file, f.cold}, nil
}

func (f labFS) IsNamed(file segment.File, path string) (bool, error) {
	return f.FS.IsNamed(file.(labFile).File, path)
}

func (f labFile) ReadResident(b []byte, offset int64) int {
	if f.cold.Load() {
		return 0
	}
	return f.File.ReadResident(b, offset)
}
