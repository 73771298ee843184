package conn

// CloseReason says why a connection ended. Operators act differently on each, so each is counted.
type CloseReason uint8

const (
	ByPeer     CloseReason = iota // the client closed or reset it
	ByProtocol                    // the request could not be parsed, or is not served
	ByWrite                       // the socket refused a response
	ByStorage                     // a segment could not be read in the middle of a response
	ByIdle                        // nothing happened for IdleTimeout
	ByStall                       // the client took no byte for StallTimeout
	ByFrame                       // a request was begun and did not go on for FrameTimeout
	ByMemory                      // a request or response is larger than the memory for them
	ByLimit                       // MaxConnections are served already
	ByShutdown                    // the server stops
	ByRefused                     // a request that has no answer was refused

	closeReasons
)

var closeReasonNames = [closeReasons]string{
	"peer", "protocol", "write", "storage", "idle", "stall", "frame", "memory", "limit", "shutdown", "refused",
}

// String is the reason's name in logs and metrics.
func (r CloseReason) String() string { return closeReasonNames[r] }

// ordinary reports whether a close for this reason needs no warning.
func (r CloseReason) ordinary() bool {
	return r == ByPeer || r == ByIdle || r == ByShutdown || r == ByRefused
}
