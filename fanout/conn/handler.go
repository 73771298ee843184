package conn

import (
	"time"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/transfer"
)

// Handler is the part above a connection that interprets its frames. Its methods are called on the loop's thread.
type Handler interface {
	// Request answers a frame that was received whole, or begins to; [Conn.Send] and what calls it, [Conn.RespondNothing] or
	// [Conn.Close] ends it. The frame stays until then. again says that the frame came before and has waited for memory.
	Request(frame []byte, again bool)
	// RequestAgain answers the request under way once more from its frame: it has waited for response memory, or for its turn.
	RequestAgain()
	// FrameMoved hands over the new place of the frame of the request under way. It returns an error if the frame cannot be
	// parsed there.
	FrameMoved(frame []byte) error
	// FrameDropped says that the answer is known and the frame of the request under way is freed.
	FrameDropped()
	// RequestEnded says that the socket has the whole answer, or that there is none.
	RequestEnded()
	// Reclaim answers a request that only waits for time to pass, to free its memory. It returns false if there is none.
	Reclaim() bool
	// ListBytes is the memory of the lists that requests are parsed into. DropLists frees them while no request uses them.
	ListBytes() int64
	DropLists()
	// Closing says that the connection ends: the handler may begin nothing more.
	Closing()
}

// Config configures a [Table].
type Config struct {
	// Handler makes or finds the handler of a connection that was accepted.
	Handler func(c *Conn) Handler
	// Spare frees blocks of response memory that are only a cache. It returns false if there are none.
	Spare func() bool
	// Descriptors are charged one for each connection.
	Descriptors *budget.Budget
	// ReclaimEvery is how often memory is taken back while some wait for it.
	ReclaimEvery time.Duration
	// Transfer says how ranges reach sockets.
	Transfer transfer.Config
	Limits
}

// Limits bound the connections.
type Limits struct {
	MaxConnections int
	// MaxRequestBytes is the largest frame. RequestMemoryBytes bound all frames and what requests are parsed into together,
	// ResponseMemoryBytes the responses that are larger than a connection's own memory.
	MaxRequestBytes                         int32
	RequestMemoryBytes, ResponseMemoryBytes int64
	// FrameTimeout closes connections that have begun a frame and send no more of it, IdleTimeout those on which nothing
	// happens, StallTimeout those whose peer takes no byte of a response.
	FrameTimeout, IdleTimeout, StallTimeout time.Duration
}
