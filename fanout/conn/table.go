package conn

import (
	"errors"
	"fmt"
	"time"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/loop"
	"oneplusn/fanout/transfer"
	"oneplusn/ring"
	"oneplusn/segment/invariants"
	"oneplusn/segment/mark"
)

// The token kinds of connections' operations, beside those of transfer. Owners of others use kinds from [KindsEnd] on.
const (
	KindAccept uint8 = transfer.KindsEnd + iota
	KindRecv
	KindCancel
	KindsEnd
)

// noSlot is the slot of tokens that belong to no connection.
const noSlot = 1<<32 - 1

// Stats is a snapshot of a table, with its counters since the start.
type Stats struct {
	// Connections has those that are being closed, too.
	Connections      int               `json:"connections" metric:"connections" help:"Connections open."`
	Accepted         uint64            `json:"accepted" metric:"connections_accepted_total" help:"Connections accepted."`
	Closed           map[string]uint64 `json:"closed" metric:"connections_closed_total" label:"reason" help:"Connections closed."`
	WaitingForMemory int               `json:"waiting_for_memory" metric:"waiting_for_memory" help:"Connections held back because --request-memory or --response-memory is used up."`
	RequestMemory    int64             `json:"request_memory_bytes" metric:"request_memory_bytes" help:"Memory of request frames."`
	ResponseMemory   int64             `json:"response_memory_bytes" metric:"response_memory_bytes" help:"Memory of large responses."`
	WaitingForTurn   int               `json:"-"` // costly requests
	// Stale are completions for connections that were gone: slots are freed only when nothing is in flight, so there are none.
	Stale uint64 `json:"-"`
}

// Table is all connections. [New] makes it, [Table.Start] begins to accept.
type Table struct {
	// Engine moves their responses, from Start on. Responses lends the memory of large ones.
	Engine    *transfer.Engine
	Responses ResponseMemory

	loop     *loop.Loop
	config   Config
	conns    *ring.Table[Conn]
	arena    *ring.Arena // of slabs
	listener *Listener
	requests requestMemory
	costly   costly
	accepted uint64
	closed   [closeReasons]uint64
	stale    uint64
	closeLog loop.LogLimit
	limitLog loop.LogLimit

	nextReclaim time.Duration
	stopping    bool
}

// New makes a table that accepts from a listener, from Start on.
func New(l *loop.Loop, config Config, listener *Listener) *Table {
	return &Table{
		Responses: newResponseMemory(config.ResponseMemoryBytes), loop: l, config: config, listener: listener,
		conns: ring.NewTable[Conn](config.MaxConnections), requests: newRequestMemory(&config),
	}
}

// Start makes what needs the kernel, and begins to listen.
func (t *Table) Start() (err error) {
	if t.Engine, err = transfer.NewEngine(t.loop.Kernel, t.config.Transfer, t); err != nil {
		return err
	}
	if t.arena, err = ring.NewArena(t.config.MaxConnections * slabBytes); err != nil {
		return err
	}
	return t.listener.listen(t.loop)
}

// Drain begins the end: no more connections, and those that are open are closed as soon as they have no request under way.
func (t *Table) Drain() {
	t.stopping = true
	t.listener.stop()
	for c := range t.conns.All() {
		if c.state == open && c.request == none {
			c.Close(ByShutdown, nil)
		}
	}
}

// CloseAll closes all connections.
func (t *Table) CloseAll(reason CloseReason) {
	for c := range t.conns.All() {
		c.Close(reason, nil)
	}
}

// Drained says that no connection is left, and nothing of the listener is in flight.
func (t *Table) Drained() bool { return t.conns.Taken() == 0 && !t.listener.polling }

// Close frees the memory outside the Go heap. No operation may be in flight.
func (t *Table) Close() error {
	if !t.Drained() {
		return fmt.Errorf("%d connections are left after shutdown", t.conns.Taken())
	}
	if err := t.Engine.Close(); err != nil {
		return err
	}
	t.Responses.dropFree()
	return t.arena.Close()
}

// Find is the connection that an id names, or nil if it has been closed since.
func (t *Table) Find(id ID) *Conn {
	c := t.conns.Find(ring.Token(id))
	if c == nil || c.state != open {
		return nil
	}
	return c
}

// Accepted takes a completion of [KindAccept].
func (t *Table) Accepted() {
	t.listener.polling = false
	if t.stopping {
		t.listener.Close()
		return
	}
	t.listener.take(t.begin)
}

// begin puts an accepted socket into a slot and starts to receive.
func (t *Table) begin(fd int) {
	if t.conns.Taken() == t.conns.Len() {
		mark.Hit("a connection was refused for lack of slots")
		t.refuse(fd, "connection refused: all slots are taken", "max_connections", t.conns.Len(), "remedy", "raise --max-connections")
		return
	}
	if !t.config.Descriptors.Take(1) {
		mark.Hit("a connection was refused for lack of descriptors")
		t.refuse(fd, "connection refused: all descriptors for connections are taken",
			"connections", t.conns.Taken(), "remedy", "raise the limit on open files (ulimit -n)")
		return
	}
	t.accepted++
	token, c := t.conns.Take(0)
	c.begin(t, token, fd)
}

func (t *Table) refuse(fd int, message string, attrs ...any) {
	t.closed[ByLimit]++
	t.limitLog.Warn(t.loop, message, attrs...)
	t.loop.Kernel.CloseFD(fd)
}

// Complete takes a completion of an operation of a connection: [KindRecv], [KindCancel], or one of its flow.
func (t *Table) Complete(completion ring.Completion) {
	kind, c := completion.Token.Kind(), t.conns.Find(completion.Token)
	if c == nil {
		if kind != KindCancel || completion.Token.Slot() != noSlot { // that one is of the accept
			t.stale++
		}
		t.releaseBuffer(completion)
		return
	}
	switch kind {
	case KindRecv:
		c.onRecv(completion)
	case KindCancel:
		if c.cancels--; c.cancels < 0 {
			panic(fmt.Sprintf("conn: more cancels of connection %v ended than began", c.token))
		}
	default:
		t.Engine.Complete(&c.flow, completion)
	}
	c.freeIfIdle()
}

// FlowDone implements [transfer.Owner]: the response has been handed to the socket.
func (t *Table) FlowDone(f *transfer.Flow) {
	c := t.ofFlow(f)
	if c.request != sending {
		panic(fmt.Sprintf("conn: a response ends that is being sent; connection %v: request %d", c.token, c.request))
	}
	c.lastActive = t.loop.Now()
	c.giveBlocks()
	c.request = answered
	c.end()
}

// FlowFailed implements [transfer.Owner].
func (t *Table) FlowFailed(f *transfer.Flow, err error) {
	reason := ByWrite
	if errors.Is(err, transfer.ErrReadSegment) {
		mark.Hit("a response ended because its segment could not be read")
		reason = ByStorage
		t.loop.Log.Error("a segment could not be read", "error", err)
	}
	t.ofFlow(f).Close(reason, err)
}

func (t *Table) ofFlow(f *transfer.Flow) *Conn {
	c := t.conns.Find(f.Token)
	if c == nil {
		panic(fmt.Sprintf("conn: flow %v belongs to a connection; its slot has been freed", f.Token))
	}
	return c
}

// Pending says that the next turn has work that no completion will announce.
func (t *Table) Pending() bool {
	return t.Engine.Pending() || t.costly.line.Len() > 0 || t.Responses.resume
}

// Sweep closes idle and stalled connections, and accepts again after a pause.
func (t *Table) Sweep() {
	now := t.loop.Now()
	for c := range t.conns.All() {
		switch {
		case c.state != open:
		case c.flow.WaitsForPeer() && now-c.flow.LastProgress() > c.stallTimeout():
			mark.Hit("a client that takes no byte of its response was cut off")
			c.Close(ByStall, nil)
		case c.request == none && now-c.lastActive > t.config.IdleTimeout:
			mark.Hit("an idle connection was closed")
			c.Close(ByIdle, nil)
		default:
			if err := c.frameOverdue(); err != nil {
				mark.Hit("a request was begun and not finished in time")
				c.Close(ByFrame, err)
			}
		}
	}
	t.listener.retry()
	if invariants.Enabled {
		t.recount()
	}
}

// Stats takes a snapshot of the table.
func (t *Table) Stats() Stats {
	s := Stats{
		Connections: t.conns.Taken(), Accepted: t.accepted, Closed: make(map[string]uint64), Stale: t.stale,
		WaitingForMemory: t.requests.waiting() + t.Responses.waiters.Len(), WaitingForTurn: t.costly.line.Len(),
		RequestMemory: t.requests.total.Used(), ResponseMemory: t.Responses.budget.Used(),
	}
	for reason, n := range t.closed {
		s.Closed[CloseReason(reason).String()] = n
	}
	return s
}

// Budgets are those of memory.
func (t *Table) Budgets() []*budget.Budget {
	return []*budget.Budget{t.requests.total, t.requests.connections, t.requests.overflow, t.Responses.budget}
}

func (t *Table) releaseBuffer(c ring.Completion) {
	if c.HasBuffer() {
		t.loop.Kernel.ReleaseBuffer(c)
	}
}
