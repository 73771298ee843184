package transfer

import "oneplusn/ring"

// Ledger counts the bytes that operations moved, by the copy that each kind of operation makes. It belongs to the loop's thread.
//
// The copy that a receiver on the same host makes is not here: its own byte count is the witness of that one.
type Ledger struct {
	// CacheToUserBytes counts copies by READ from the page cache into buffers of this process (CPU).
	CacheToUserBytes uint64 `json:"cache_to_user_bytes" metric:"copied_bytes_total" label:"copy" of:"cache_to_user"`
	// UserToSocketBytes counts copies by SEND from those buffers into socket buffers (CPU).
	UserToSocketBytes uint64 `json:"user_to_socket_bytes" metric:"copied_bytes_total" label:"copy" of:"user_to_socket"`
	// CacheToSocketBytes counts copies by SENDMSG from the mapped page cache into socket buffers (CPU).
	CacheToSocketBytes uint64 `json:"cache_to_socket_bytes" metric:"copied_bytes_total" label:"copy" of:"cache_to_socket"`
	// ByReferenceBytes reached sockets without a copy: pages spliced from pipes, or sent by sendfile.
	ByReferenceBytes uint64 `json:"by_reference_bytes" metric:"copied_bytes_total" label:"copy" of:"by_reference"`
	// HeaderBytes are all others: response headers and whole responses without a range.
	HeaderBytes uint64 `json:"header_bytes" metric:"copied_bytes_total" label:"copy" of:"headers"`
}

// countOp enters a completed ring operation. Its kind of copy follows from the operation itself and the place of its bytes,
// not from the mode that queued it.
func (l *Ledger) countOp(code ring.Opcode, from origin, result int, headerBytes int) {
	n := uint64(max(result, 0))
	switch {
	case code == ring.OpRead:
		l.CacheToUserBytes += n
	case code == ring.OpSplice && from == fromPipe:
		l.ByReferenceBytes += n
	case code == ring.OpSend && from == fromBuffer:
		l.UserToSocketBytes += n
	case code == ring.OpSend:
		l.HeaderBytes += n
	case code == ring.OpSendmsg:
		headers := min(n, uint64(headerBytes))
		l.HeaderBytes += headers
		l.CacheToSocketBytes += n - headers
	}
}

// origin is the place of the bytes of an operation that writes to a socket.
type origin uint8

const (
	fromMemory origin = iota // header memory
	fromBuffer               // a copy stage
	fromPipe                 // a splice stage
	fromMap                  // the mapped segment
)

// staged reports whether the bytes lie in a stage, which such an operation empties.
func (o origin) staged() bool { return o == fromBuffer || o == fromPipe }
