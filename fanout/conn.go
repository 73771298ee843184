package fanout

import (
	"iter"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"oneplusn/fanout/transfer"
	"oneplusn/ring"
)

// closeReason says why a connection ended. Operators act differently on each, so each is counted.
type closeReason uint8

const (
	closedByPeer     closeReason = iota // the client closed or reset it
	closedByProtocol                    // what the client sent could not be read or is not served
	closedByWrite                       // the socket refused a response
	closedByStorage                     // a segment could not be read in the middle of a response
	closedByIdle                        // nothing happened for IdleTimeout
	closedByStall                       // the client took no byte for StallTimeout
	closedByFrame                       // a request was begun and did not go on for FrameTimeout
	closedByMemory                      // a request or response is larger than the memory for them
	closedByLimit                       // MaxConnections are served already
	closedByShutdown                    // the server stops
	closedByRefused                     // a produce with acks=0, which has no answer, was refused
	closeReasons
)

var closeReasonNames = [closeReasons]string{
	"peer", "protocol", "write", "storage", "idle", "stall", "frame", "memory", "limit", "shutdown", "refused",
}

// String is the reason's name in logs and metrics.
func (r closeReason) String() string { return closeReasonNames[r] }

// connState is where a slot is in its life.
type connState uint8

const (
	connFree    connState = iota
	connOpen              // served
	connClosing           // shut down; waits for the kernel to let go of its operations
)

// conn is one connection. It lives in a slot of the broker's table and never moves.
type conn struct {
	broker     *Broker
	handler    handler
	slot       uint32
	generation uint32
	state      connState
	fd         int

	recvArmed  bool // a multishot recv is in flight
	recvPaused bool // the client sends faster than it is answered
	cancels    int  // cancel operations in flight
	errands    int  // see errand

	in    input
	flow  transfer.Flow
	slab  []byte // header bytes of responses, outside the Go heap
	block *block // in place of the slab, for a larger response
	// shared is a part of the response that others may be being sent as well.
	shared *block

	busy bool // a request is being answered: no other is looked at
	// answered says that the request under way has its answer, and is not over because its frame is pinned.
	answered bool
	serving  bool // serve is running

	charged int64 // request memory that the lists of partitions take
	decoded int64 // request memory that the request under way and its answer take, decoded

	// What the connection waits for while memory is used up: see shortage.go.
	forRequest, forResponse queueNode
	forTurn                 queueNode // the wait of a request whose answer is costly
	needsRequest            int64
	hasTurn                 bool // the request's lists are charged to the turn of the large line
	needsResponse           int

	lastActive time.Duration
}

// handler is the part above a connection that knows what its frames mean: see [client].
type handler interface {
	// request answers a frame that was received whole, or begins to. Exactly one answer follows, or respondNothing, or the
	// connection is closed. again says that the frame came before, and has waited for memory.
	request(frame []byte, again bool)
	// again answers the request under way from its frame once more: it has waited for response memory, or for its turn.
	again()
	// moved tells where the frame of the request under way lies now. With an error it cannot be read there.
	moved(frame []byte) error
	// dropped says that the frame of the request under way goes, and ended that the request is over.
	dropped()
	ended()
	// listBytes is what the lists take that requests are parsed into, and dropLists gives them up.
	listBytes() int64
	dropLists()
	// reclaim answers a request that does nothing but wait, so that its memory comes back. It is false if there is none.
	reclaim() bool
	// closing and freed say that the connection ends: nothing is to be begun any more, and nothing is in flight any more.
	closing()
	freed()
}

// inFlight is the number of operations of this connection that the kernel holds, of its errands, and of pins on its frames.
func (c *conn) inFlight() int {
	n := c.flow.InFlight() + c.cancels + c.errands + c.in.pins
	if c.recvArmed {
		n++
	}
	return n
}

// connTable is the fixed table of connections.
type connTable struct {
	slots []conn
	free  []uint32
	open  int
	high  int // slots from here on have never been used, and their memory is untouched
	arena *ring.Arena
}

func newConnTable(n int) (*connTable, error) {
	arena, err := ring.NewArena(n * slabBytes)
	if err != nil {
		return nil, err
	}
	t := &connTable{slots: make([]conn, n), free: make([]uint32, n), arena: arena}
	for i := range t.free {
		t.free[i] = uint32(n - 1 - i) // the lowest slots are used first: their memory is warm
	}
	return t, nil
}

// find is the connection that a token belongs to, or nil if it is of an earlier life of the slot.
func (t *connTable) find(token ring.Token) *conn {
	if int(token.Slot()) >= len(t.slots) {
		return nil
	}
	c := &t.slots[token.Slot()]
	if c.state == connFree || c.generation != token.Generation() {
		return nil
	}
	return c
}

// all are the slots that have ever been used.
func (t *connTable) all() iter.Seq[*conn] {
	return func(yield func(*conn) bool) {
		for i := range t.slots[:t.high] {
			if !yield(&t.slots[i]) {
				return
			}
		}
	}
}

// openConn puts an accepted socket into a slot and starts to receive.
func (b *Broker) openConn(fd int) {
	n := len(b.conns.free)
	if n == 0 {
		b.counters.closed[closedByLimit]++
		b.limitLog.Warn(b.loop.Log, b.loop.Now(), "connection refused: all slots are taken",
			"max_connections", len(b.conns.slots), "remedy", "raise --max-connections")
		b.loop.Kernel.CloseFD(fd)
		return
	}
	if !b.descriptors.connections.Take(1) {
		b.counters.closed[closedByLimit]++
		b.limitLog.Warn(b.loop.Log, b.loop.Now(), "connection refused: all descriptors for connections are taken",
			"connections", b.conns.open, "remedy", "raise the limit on open files (ulimit -n)")
		b.loop.Kernel.CloseFD(fd)
		return
	}
	c := &b.conns.slots[b.conns.free[n-1]]
	c.broker, c.slot = b, b.conns.free[n-1]
	b.conns.free = b.conns.free[:n-1]
	b.conns.open++
	b.conns.high = max(b.conns.high, int(c.slot)+1)
	b.counters.accepted++
	if c.slab == nil {
		c.slab = b.conns.slabOf(c.slot)
	}
	c.handler = b.clients[c.slot].open(b, c)
	c.state, c.fd = connOpen, fd
	c.busy, c.answered, c.recvPaused = false, false, false
	c.lastActive = b.loop.Now()
	c.flow.Open(ring.NewToken(0, c.slot, c.generation), fd, ring.MessageAt(c.slab))
	c.armRecv()
}

func (t *connTable) slabOf(slot uint32) []byte {
	return t.arena.Slice(int(slot)*slabBytes, slabBytes)
}

// headerMemory is the part of the slab behind the message.
func (c *conn) headerMemory() []byte { return c.slab[ring.MessageBytes:slabBytes] }

func (c *conn) token(kind uint8) ring.Token {
	return ring.NewToken(kind, c.slot, c.generation)
}

func (c *conn) armRecv() {
	c.recvArmed = true
	c.broker.loop.Kernel.Queue(ring.Recv(c.token(kindRecv), c.fd))
}

// close begins the end of a connection: nothing new is started, what is in flight is woken and cancelled. The slot
// is freed when the last of its completions has come.
func (c *conn) close(reason closeReason, err error) {
	if c.state != connOpen {
		return
	}
	c.state = connClosing
	c.broker.loop.Record(eventClose, int64(c.slot), int64(reason))
	c.broker.counters.closed[reason]++
	level := slog.LevelDebug
	if reason != closedByPeer && reason != closedByIdle && reason != closedByShutdown && reason != closedByRefused {
		level = slog.LevelWarn
	}
	if c.broker.loop.Log.Enabled(c.broker.ctx, level) && c.broker.closeLog.Allow(c.broker.loop.Now()) {
		attrs := []any{"peer", peerName(c.fd), "reason", reason.String(), "bytes_sent", c.flow.Sent()}
		if err != nil {
			attrs = append(attrs, "error", err)
		}
		c.broker.loop.Log.Log(c.broker.ctx, level, "connection closed", attrs...)
	}
	c.handler.closing()
	c.leaveQueues()
	c.broker.engine.Abort(&c.flow)
	c.broker.loop.Kernel.Shutdown(c.fd)
	if c.inFlight() > 0 {
		c.cancels++
		c.broker.loop.Kernel.Queue(ring.Cancel(c.token(kindCancel), c.fd))
	}
	c.freeIfIdle()
}

// freeIfIdle frees a closing connection's slot once the kernel holds nothing of it.
func (c *conn) freeIfIdle() {
	if c.state != connClosing || c.inFlight() > 0 {
		return
	}
	c.broker.loop.Kernel.CloseFD(c.fd)
	c.broker.descriptors.connections.Give(1)
	c.broker.frames.give(c.in.takeBuffer())
	c.in.spill.drop(&c.broker.frames)
	c.giveBlock()
	c.trimLists()
	c.dropLists()
	c.needsRequest = 0
	c.handler.freed()
	c.state, c.fd = connFree, -1
	c.generation = (c.generation + 1) & ring.MaxGeneration
	c.broker.conns.free = append(c.broker.conns.free, c.slot)
	c.broker.conns.open--
	if !c.broker.stopping {
		c.broker.acceptor.retry()
	}
}

func (c *conn) giveBlock() {
	if c.block != nil {
		c.broker.blocks.release(c.block)
		c.block = nil
	}
	if c.shared != nil {
		c.broker.blocks.release(c.shared)
		c.shared = nil
	}
}

// peerName is the address of a socket's peer, for logs.
func peerName(fd int) string { return sockaddrString(unix.Getpeername(fd)) }
