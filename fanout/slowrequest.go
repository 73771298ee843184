package fanout

import (
	"time"

	"oneplusn/fanout/conn"
	"oneplusn/fanout/wire"
)

// slowRequest is what the log of a slow turn says of its longest request, whose frame may be gone by then.
type slowRequest struct {
	key, version int16
	bytes        int
	conn         *conn.Conn // for its peer: connections never move
	client       [64]byte
	clientBytes  int
}

// measured answers the request under way, or begins to, and measures that.
func (c *client) measured(frameBytes int, answer func()) {
	b, began := c.base, c.base.loop.Kernel.Now()
	r := slowRequest{key: c.header.Key, version: c.header.Version, bytes: frameBytes, conn: c.Conn}
	r.clientBytes = copy(r.client[:], c.header.ClientID)
	answer()
	if b.turns.Requested(began) {
		b.slowest = r
	}
}

// describeSlowest is said of the longest request of a turn.
func (b *base) describeSlowest(took time.Duration) []any {
	r := &b.slowest
	return []any{"request", wire.Describe(r.key), "version", r.version, "request_took", took, "bytes", r.bytes,
		"client", string(r.client[:r.clientBytes]), "peer", r.conn.Peer()}
}
