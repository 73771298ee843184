package transfer

import (
	"sync/atomic"

	"oneplusn/ring"
)

// Ledger counts the bytes that operations moved, by the copy that each kind of operation makes. The loop's thread adds
// to it at completion; any goroutine may read it.
//
// The copy that a receiver on the same host makes is not here: its own byte count is the witness of that one.
type Ledger struct {
	// CacheToUser is what READ copied from the page cache into buffers of this process (CPU).
	CacheToUser atomic.Uint64
	// UserToSocket is what SEND copied from those buffers into socket buffers (CPU).
	UserToSocket atomic.Uint64
	// CacheToSocket is what SENDMSG copied from the mapped page cache into socket buffers (CPU).
	CacheToSocket atomic.Uint64
	// ByReference is what reached sockets without a copy: pages spliced from pipes, or sent by sendfile.
	ByReference atomic.Uint64
	// Headers is what else was sent: response headers and whole responses without a range.
	Headers atomic.Uint64
}

// countOp enters a completed ring operation: what it was is read off the operation itself and where its bytes lay,
// not off the mode that asked for it.
func (l *Ledger) countOp(code ring.Opcode, from origin, result int, headerBytes int) {
	n := uint64(max(result, 0))
	switch {
	case code == ring.OpRead:
		l.CacheToUser.Add(n)
	case code == ring.OpSplice && from == fromPipe:
		l.ByReference.Add(n)
	case code == ring.OpSend && from == fromBuffer:
		l.UserToSocket.Add(n)
	case code == ring.OpSend:
		l.Headers.Add(n)
	case code == ring.OpSendmsg:
		headers := min(n, uint64(headerBytes))
		l.Headers.Add(headers)
		l.CacheToSocket.Add(n - headers)
	}
}

// origin is where the bytes of an operation that writes to a socket lie.
type origin uint8

const (
	fromMemory origin = iota // header memory
	fromBuffer               // a copy stage
	fromPipe                 // a splice stage
	fromMap                  // the mapped segment
)

// staged says that the bytes lie in a stage, which such an operation empties.
func (o origin) staged() bool { return o == fromBuffer || o == fromPipe }
