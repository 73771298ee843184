package conn

import (
	"time"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/transfer"
)

// Handler is the part above a connection, which knows what its frames mean. Its methods are called on the loop's thread.
type Handler interface {
	// Request answers a frame that was received whole, or begins to; [Conn.Send] and what calls it, [Conn.RespondNothing] or
	// [Conn.Close] ends it. The frame stays until then. again says that the frame came before and has waited for memory.
	Request(frame []byte, again bool)
	// RequestAgain answers the request under way once more from its frame: it has waited for response memory, or for its turn.
	RequestAgain()
	// FrameMoved says where the frame of the request under way lies now. With an error it cannot be read there.
	FrameMoved(frame []byte) error
	// FrameDropped says that the frame of the request under way goes, as its answer is known.
	FrameDropped()
	// RequestEnded says that the answer has been handed to the socket, or that there is none.
	RequestEnded()
	// Reclaim answers a request that does nothing but wait for a time to pass, so that its memory comes back. It is false if
	// there is none.
	Reclaim() bool
	// ListBytes is the memory of the lists that requests are parsed into. DropLists frees them: no request uses them.
	ListBytes() int64
	DropLists()
	// Closing says that the connection ends: nothing may be begun any more.
	Closing()
}

// Config is what a [Table] has to know.
type Config struct {
	// Handler makes or finds the handler of a connection that was accepted.
	Handler func(c *Conn) Handler
	// Spare frees blocks of response memory that are only a cache. It is false if there are none.
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
