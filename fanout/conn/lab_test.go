package conn

import (
	"cmp"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/loop"
	"oneplusn/fanout/transfer"
	"oneplusn/ring"
)

// patience is how long a test waits for what has to happen.
const patience = 30 * time.Second

// lab is a table on a real ring, whose handlers answer each frame with itself.
type lab struct {
	t           *testing.T
	loop        *loop.Loop
	table       *Table
	descriptors *budget.Budget
	handlers    []echo
	// answer handles a frame; nil echoes it.
	answer func(h *echo, frame []byte)
	ended  chan error
}

// echo is the handler of a connection of the lab.
type echo struct {
	*Conn
	lab    *lab
	frame  []byte // of the request under way
	list   []byte // stands for what requests are parsed into
	again  int    // requests that were answered again
	ended  int
	parked bool
}

func (h *echo) Request(frame []byte, _ bool) {
	h.frame = frame
	if h.lab.answer != nil {
		h.lab.answer(h, frame)
		return
	}
	h.echo()
}

func (h *echo) echo() { h.Respond(framed(h.frame)) }

func (h *echo) RequestAgain() {
	h.again++
	h.echo()
}

func (h *echo) FrameMoved(frame []byte) error {
	h.frame = frame
	return nil
}

func (h *echo) FrameDropped()    { h.frame = nil }
func (h *echo) RequestEnded()    { h.ended++ }
func (h *echo) ListBytes() int64 { return int64(cap(h.list)) }
func (h *echo) DropLists()       { h.list = nil }
func (h *echo) Closing()         { h.parked = false }

func (h *echo) Reclaim() bool {
	if !h.parked {
		return false
	}
	h.parked = false
	h.echo()
	return true
}

// framed is a frame with its size before it.
func framed(payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}

// newLab runs a table until the test ends, and checks that nothing is left then. change changes its configuration.
func newLab(t *testing.T, answer func(h *echo, frame []byte), change func(c *Config)) *lab {
	t.Helper()
	listener, err := Bind("127.0.0.1:0", 0, BusyPortWait)
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, loop: loop.New(slog.New(slog.DiscardHandler), loop.ThisMachine()), descriptors: budget.New("descriptor", "", 64),
		handlers: make([]echo, 64), answer: answer, ended: make(chan error, 1)}
	config := Config{
		Handler: func(c *Conn) Handler {
			h := &l.handlers[c.Slot()]
			h.Conn, h.lab = c, l
			return h
		},
		Spare: func() bool { return false }, Descriptors: l.descriptors, ReclaimEvery: 10 * time.Millisecond,
		Limits: Limits{MaxConnections: 64, MaxRequestBytes: 1 << 20, RequestMemoryBytes: 8 << 20, ResponseMemoryBytes: 1 << 20,
			FrameTimeout: patience, IdleTimeout: patience, StallTimeout: patience},
		Transfer: transfer.Config{Mode: transfer.Auto, PipeBytes: 1 << 16, MaxPipes: 4, ChunkBytes: 1 << 16,
			CopyBytes: 1 << 20, SpliceFromBytes: 1 << 15},
	}
	if change != nil {
		change(&config)
	}
	l.table = New(l.loop, config, listener)
	go func() {
		runtime.LockOSThread() // the kernel keeps some of the ring with the thread
		l.ended <- l.serve()
	}()
	select {
	case <-l.loop.Started():
	case err := <-l.ended:
		t.Fatal(err)
	}
	t.Cleanup(l.stop)
	return l
}

func (l *lab) serve() error {
	k, err := ring.New(ring.Config{Entries: 256, Workers: 4, RecvBuffers: 64, RecvBufferBytes: 4096})
	if err != nil {
		return err
	}
	l.loop.Use(k)
	if err := l.table.Start(); err != nil {
		return err
	}
	l.loop.Start()
	return cmp.Or(l.run(k), l.table.Close(), k.Close())
}

func (l *lab) run(k ring.Kernel) error {
	for !l.table.stopping || !l.table.Drained() || k.InFlight() > 0 {
		wait := 5 * time.Millisecond
		if l.table.Pending() {
			wait = 0
		}
		completions, err := k.Wait(wait)
		if err != nil {
			return err
		}
		l.loop.BeginTurn()
		l.table.Engine.BeginTurn(l.loop.Now())
		for _, c := range slices.Clone(completions) {
			if c.Token.Kind() == KindAccept {
				l.table.Accepted()
			} else {
				l.table.Complete(c)
			}
		}
		l.loop.RunTasks()
		l.table.AnswerCostly()
		l.table.Sweep()
		l.table.Relieve()
		l.table.Engine.Turn(l.loop.Now())
	}
	return nil
}

func (l *lab) stop() {
	l.loop.Do(func() {
		l.table.Drain()
		l.table.CloseAll(ByShutdown)
	})
	if err := <-l.ended; err != nil {
		l.t.Fatal(err)
	}
	l.loop.End()
	for _, one := range append(l.table.Budgets(), l.descriptors) {
		if one.Used() != 0 {
			l.t.Errorf("after the end %d of the %s budget have not been given back", one.Used(), one.Name())
		}
	}
	if stale := l.table.Stats().Stale; stale != 0 {
		l.t.Errorf("%d completions came for connections that were gone", stale)
	}
}

// on runs f on the loop's thread and waits for it.
func (l *lab) on(f func()) {
	l.t.Helper()
	ran := make(chan struct{})
	if !l.loop.Do(func() { f(); close(ran) }) {
		l.t.Fatal("the loop has ended")
	}
	<-ran
}

// each runs f for each connection, on the loop's thread.
func (l *lab) each(f func(c *Conn)) {
	l.t.Helper()
	l.on(func() {
		for c := range l.table.conns.All() {
			f(c)
		}
	})
}

func (l *lab) stats() (s Stats) {
	l.t.Helper()
	l.on(func() { s = l.table.Stats() })
	return s
}

// await waits until something holds, as asked on the loop's thread.
func (l *lab) await(what string, holds func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		var ok bool
		l.on(func() { ok = holds() })
		if ok {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// dialed is a client of the lab.
type dialed struct {
	t *testing.T
	net.Conn
}

func (l *lab) dial() *dialed {
	l.t.Helper()
	c, err := net.Dial("tcp", l.table.listener.Address())
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = c.Close() })
	return &dialed{l.t, c}
}

func (d *dialed) write(b []byte) {
	d.t.Helper()
	if _, err := d.Write(b); err != nil {
		d.t.Fatal(err)
	}
}

// receive reads an answer.
func (d *dialed) receive() []byte {
	d.t.Helper()
	_ = d.SetReadDeadline(time.Now().Add(patience))
	var size [4]byte
	if _, err := io.ReadFull(d, size[:]); err != nil {
		d.t.Fatal(err)
	}
	payload := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(d, payload); err != nil {
		d.t.Fatal(err)
	}
	return payload
}
