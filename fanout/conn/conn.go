package conn

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"oneplusn/fanout/loop"
	"oneplusn/fanout/transfer"
	"oneplusn/ring"
	"oneplusn/segment/list"
	"oneplusn/segment/mark"
)

// state is where a slot is in its life.
type state uint8

const (
	free    state = iota
	open          // served
	closing       // shut down; waits for the kernel to let go of its operations
)

// ID names a connection for as long as it is open: its slot and the generation of that.
type ID uint64

// slabBytes is the off-heap memory that each connection owns: its message descriptor and the header bytes of its
// response. Ten thousand connections that have all been answered once hold 20 MiB.
const slabBytes = 2048

// The slab must have room for the message and for a header of useful size.
const _ = uint(slabBytes - ring.MessageBytes - 1024)

// Conn is one connection. It lives in a slot of its table and never moves.
type Conn struct {
	table   *Table
	handler Handler
	token   ring.Token // its slot and generation: operations carry it with their kind
	state   state
	fd      int

	recvArmed  bool // a multishot recv is in flight
	recvPaused bool // the client sends faster than it is answered
	cancels    int  // cancel operations in flight
	errands    int  // see Errand

	in      input
	request request
	serving bool // serve is running
	flow    transfer.Flow
	slab    []byte // header bytes of responses, outside the Go heap
	block   *Block // in place of the slab, for a larger response
	shared  *Block // a part of the response that others may be being sent as well

	charged int64 // request memory that the handler's lists take
	decoded int64 // request memory that the request under way and its answer take, decoded
	hasTurn bool  // both are charged to the turn of the large line

	// What the connection waits for: see shortage.go and costly.go.
	forRequest, forResponse, forTurn list.Node[*Conn]
	needsRequest                     int64
	needsResponse                    int

	lastActive time.Duration
}

// ID names the connection.
func (c *Conn) ID() ID { return ID(c.token) }

// Slot is the connection's place in the table, below its MaxConnections.
func (c *Conn) Slot() int { return int(c.token.Slot()) }

// Open says that the connection is served, and not closed yet.
func (c *Conn) Open() bool { return c.state == open }

// Peer is the client's address, for logs: "?" if the kernel does not tell.
func (c *Conn) Peer() string { return c.table.loop.Kernel.PeerAddress(c.fd) }

// LocalAddr is the address that the client connected to.
func (c *Conn) LocalAddr() string { return c.table.loop.Kernel.LocalAddress(c.fd) }

// inFlight counts what keeps the slot: operations that the kernel holds, errands and pins.
func (c *Conn) inFlight() int {
	n := c.flow.InFlight() + c.cancels + c.errands + c.in.pins
	if c.recvArmed {
		n++
	}
	return n
}

// begin begins the life of a connection that was accepted.
func (c *Conn) begin(t *Table, token ring.Token, fd int) {
	if c.state != free || c.inFlight() != 0 || c.charged != 0 || c.request != none {
		panic(fmt.Sprintf("conn: a slot that is taken is free and has nothing in flight or charged; slot %d: state %d, %d in flight, %d charged",
			token.Slot(), c.state, c.inFlight(), c.charged))
	}
	c.table, c.token, c.fd, c.state = t, token, fd, open
	if c.slab == nil {
		c.slab = t.arena.Slice(c.Slot()*slabBytes, slabBytes)
	}
	c.recvPaused = false
	c.lastActive = t.loop.Now()
	c.flow.Open(token, fd, ring.MessageAt(c.slab))
	c.handler = t.config.Handler(c)
	c.armRecv()
}

func (c *Conn) armRecv() {
	c.recvArmed = true
	c.table.loop.Kernel.Queue(ring.Recv(c.token.As(KindRecv), c.fd))
}

// Errand begins work for the request under way that outlives its client, in a queue or in the background. end ends it, on the
// loop, and reports whether the connection is still open. Until then the connection keeps its slot and all charges of the request:
// otherwise clients that ask and disconnect would pile up memory that no budget counts.
func (c *Conn) Errand() (end func() bool) {
	c.mustBeTaken("an errand")
	c.errands++
	ended := false
	return func() bool {
		if c.errands--; ended || c.errands < 0 {
			panic(fmt.Sprintf("conn: an errand of connection %v ends once; ended before %v, %d are left", c.token, ended, c.errands))
		}
		mark.HitIf(c.state != open, "a client left while its request was worked on elsewhere")
		ended = true
		c.freeIfIdle()
		return c.state == open
	}
}

var eventClose = loop.NewEventKind("close", "slot", "reason").As(1, func(reason int64) string { return CloseReason(reason).String() })

// Close shuts the socket down and cancels operations in flight. The slot is freed with the last completion, errand or pin. On a
// closed connection it does nothing.
func (c *Conn) Close(reason CloseReason, err error) {
	if c.state != open {
		return
	}
	t := c.table
	c.state = closing
	t.closed[reason]++
	t.loop.Record(eventClose, int64(c.Slot()), int64(reason))
	level := slog.LevelDebug
	if !reason.ordinary() {
		level = slog.LevelWarn
	}
	if t.loop.Log.Enabled(context.Background(), level) && t.closeLog.Allow(t.loop.Now()) {
		attrs := []any{"peer", c.Peer(), "reason", reason.String(), "bytes_sent", c.flow.Sent()}
		if err != nil {
			attrs = append(attrs, "error", err)
		}
		t.loop.Log.Log(context.Background(), level, "connection closed", attrs...)
	}
	mark.HitIf(c.forRequest.Linked() || c.forResponse.Linked(), "a client left while it waited for memory")
	mark.HitIf(c.flow.InFlight() > 0, "a connection closed in the middle of a response")
	c.handler.Closing()
	c.forRequest.Remove()
	c.forResponse.Remove()
	c.forTurn.Remove()
	t.Engine.Abort(&c.flow)
	t.loop.Kernel.Shutdown(c.fd)
	if c.inFlight() > 0 {
		c.cancels++
		t.loop.Kernel.Queue(ring.Cancel(c.token.As(KindCancel), c.fd))
	}
	c.freeIfIdle()
}

// freeIfIdle frees a closing connection's slot once nothing of it is in flight.
func (c *Conn) freeIfIdle() {
	if c.state != closing || c.inFlight() > 0 {
		return
	}
	t := c.table
	t.loop.Kernel.CloseFD(c.fd)
	t.config.Descriptors.Give(1)
	t.requests.give(c.in.takeBuffer())
	c.in.spill.drop(&t.requests)
	c.giveBlocks()
	c.trimLists()
	c.dropLists()
	c.needsRequest, c.request = 0, none
	c.state, c.fd = free, -1
	c.mustHoldNothing()
	t.conns.Free(c.token)
	if !t.stopping {
		t.listener.retry()
	}
}

func (c *Conn) giveBlocks() {
	for _, b := range []**Block{&c.block, &c.shared} {
		if *b != nil {
			c.table.Responses.Release(*b)
			*b = nil
		}
	}
}
