package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/conn"
	"oneplusn/fanout/wire"
)

// decode reads a request that is not on the path of records from a copy of its frame, so a handler may keep it. It is nil without
// an error if the client has to wait for memory or for its turn, or was closed.
func (b *Broker) decode(c *client) (kmsg.Request, error) {
	if ok, err := c.ChargeDecoded(len(c.header.Body)); !ok {
		if err != nil {
			c.Close(conn.ByMemory, err)
		}
		return nil, nil
	}
	if len(c.header.Body) > conn.CostlyBytes && c.PutOff(len(c.header.Body)) {
		return nil, nil
	}
	return wire.DecodeRequest(c.header)
}

// reply encodes and sends a response of kmsg's. While there is no room for it, it is kept if it says what the request has
// done, and its size is bounded by the request's; a request that only asks is answered again.
func (b *Broker) reply(c *client, response kmsg.Response) {
	c.Respond(wire.AppendResponse(b.scratch[:0], c.header.CorrelationID, response))
	if c.AwaitsBlock() && !requestOf(c.header.Key).onlyAsks {
		c.kept = response
	}
}
