package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleHeartbeat keeps a member in its group.
//
// Behaviour:
//   - REBALANCE_IN_PROGRESS tells the member to join again; ILLEGAL_GENERATION and UNKNOWN_MEMBER_ID that the group went
//     on without it.
//
// Versions: 0 to 3; 3 with group.instance.id.
func (b *Broker) handleHeartbeat(c *client, req *kmsg.HeartbeatRequest) {
	b.coordinate(c, func(g *group.Coordinator, from group.Client) { g.Heartbeat(b.instant(), from, req) })
}
