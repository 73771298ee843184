package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleOffsetDelete forgets a group's offsets of topics that none of its members reads (KIP-496).
//
// Versions: 0.
func (b *Broker) handleOffsetDelete(c *client, req *kmsg.OffsetDeleteRequest) {
	b.coordinate(c, func(g *group.Coordinator, from group.Client) { g.OffsetDelete(b.instant(), from, req) })
}
