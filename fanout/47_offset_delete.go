package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleOffsetDelete forgets a group's offsets of topics that no member subscribes to (KIP-496).
//
// Versions: 0.
func (b *Broker) handleOffsetDelete(c *client, req *kmsg.OffsetDeleteRequest) {
	coordinate(c, req, (*group.Coordinator).OffsetDelete)
}
