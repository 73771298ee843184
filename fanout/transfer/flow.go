package transfer

import (
	"fmt"
	"time"

	"oneplusn/fanout/transfer/pagecache"
	"oneplusn/ring"
	"oneplusn/segment/list"
)

// Source is a segment file that ranges are sent from. It is reference counted.
type Source interface {
	pagecache.File
	// Map is the file mapped read-only from its start, at least as far as any range that is sent.
	Map() ([]byte, error)
}

// Part is a piece of a response: header bytes, then a range of a file.
type Part struct {
	// Header lies outside the Go heap and belongs to the flow until the response is done.
	Header []byte
	// Source is nil for a part without a range. Otherwise the part carries one reference, which the engine releases when
	// the range has been handed to the socket, or the flow is aborted.
	Source Source
	// Pos and Len are the range in bytes; all of it is committed and never changes again.
	Pos, Len int64
}

// Flow is the sending side of one connection. Its memory is the caller's, it must not move while it is in use, and one
// [Engine] owns its unexported fields.
type Flow struct {
	// Token is the owner's name for the flow: its operations carry the same slot and generation.
	Token ring.Token
	// Socket is a non-blocking socket.
	Socket int
	// Message is the flow's own message, outside the Go heap.
	Message *ring.Message

	parts      []Part
	cur        int   // the part under way
	headerSent int   // bytes of its header that reached the socket
	moved      int64 // bytes of its range that reached the socket
	mode       Mode  // how its range moves
	active     bool
	aborted    bool

	stage   *stage
	staged  int // bytes in the stage: the range from moved on
	drained int // bytes that left the stage since it was filled
	warm    int // bytes from moved on that were read from disk for sendfile

	// What is in flight: at most one operation of each kind.
	writing, filling, polling bool
	writeCode                 ring.Opcode
	writeOrigin               origin
	writeBytes, fillBytes     int   // asked for
	coldFrom, coldTo          int64 // the part of the fill in blocks that the page cache tracks
	retries                   int

	node list.Node[*Flow] // in a pool's waiters or stalled, or in the engine's ready

	sent         uint64
	lastProgress time.Duration
}

// pending is the flag of the flow's operation of a kind, nil for a kind that flows do not have.
func (f *Flow) pending(kind uint8) *bool {
	switch kind {
	case KindWrite:
		return &f.writing
	case KindFill:
		return &f.filling
	case KindPoll:
		return &f.polling
	}
	return nil
}

// InFlight is the number of the flow's operations that the kernel holds.
func (f *Flow) InFlight() int { return btoi(f.writing) + btoi(f.filling) + btoi(f.polling) }

// WaitsForPeer reports whether nothing but the peer's reading can move this flow.
func (f *Flow) WaitsForPeer() bool { return f.active && (f.writing || f.polling) && !f.filling }

// LastProgress is the time at which bytes last reached the socket, or the response was started, on the kernel's clock.
func (f *Flow) LastProgress() time.Duration { return f.lastProgress }

// Sent is the number of bytes handed to the socket since the flow was opened.
func (f *Flow) Sent() uint64 { return f.sent }

// Open readies a flow for a new connection. The parts' memory is kept from the slot's last one.
func (f *Flow) Open(token ring.Token, socket int, message *ring.Message) {
	if f.active || f.InFlight() > 0 || f.stage != nil || f.node.Linked() || socket < 0 {
		panic(fmt.Sprintf("transfer: a flow that is opened is idle and has a socket; this one: active %v, %d in flight, socket %d",
			f.active, f.InFlight(), socket))
	}
	*f = Flow{Token: token, Socket: socket, Message: message, parts: f.parts[:0]}
}

// Parts is the flow's own empty list of parts, to be filled by append and passed to [Engine.Start]; so a list that
// has grown once serves all later responses. The flow must not be active.
func (f *Flow) Parts() []Part { return f.parts[:0] }

// headerLeft is the rest of the current part's header.
func (f *Flow) headerLeft() []byte { return f.parts[f.cur].Header[f.headerSent:] }

// rangeLeft is the size of the rest of the current part's range.
func (f *Flow) rangeLeft() int64 { return f.parts[f.cur].Len - f.moved }

// advance moves the flow's position by n bytes that reached the socket, over as many parts as they span, and says how
// many of them were header bytes.
func (f *Flow) advance(n int) (headers int) {
	f.sent += uint64(n)
	for n > 0 && f.cur < len(f.parts) {
		header := min(n, len(f.headerLeft()))
		f.headerSent += header
		headers += header
		n -= header
		ranged := min(int64(n), f.rangeLeft())
		f.moved += ranged
		n -= int(ranged)
		if n > 0 {
			f.nextPart()
		}
	}
	if n > 0 {
		panic(fmt.Sprintf("transfer: %d more bytes reached the socket than the response has", n))
	}
	return headers
}

// partDone reports whether the current part has been sent whole.
func (f *Flow) partDone() bool { return len(f.headerLeft()) == 0 && f.rangeLeft() == 0 }

// nextPart drops the current part's reference and goes on to the next part.
func (f *Flow) nextPart() {
	if s := f.parts[f.cur].Source; s != nil {
		s.Release()
		f.parts[f.cur].Source = nil
	}
	f.cur++
	f.headerSent, f.moved = 0, 0
}

// releaseSources drops the references that are left.
func (f *Flow) releaseSources() {
	for i := range f.parts {
		if s := f.parts[i].Source; s != nil {
			s.Release()
		}
		f.parts[i] = Part{}
	}
	f.parts = f.parts[:0]
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// pop takes the first flow off a list. It returns nil if the list is empty.
func pop(l *list.List[*Flow]) *Flow {
	f := l.First().Value()
	if f != nil {
		f.node.Remove()
	}
	return f
}
