package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleHeartbeat keeps a member in its group.
//
// Behaviour:
//   - REBALANCE_IN_PROGRESS tells the member to join again; ILLEGAL_GENERATION and UNKNOWN_MEMBER_ID tell it that the group
//     has gone on without it.
//
// Versions: 0 to 3; 3 with group.instance.id.
func (b *Broker) handleHeartbeat(c *client, req *kmsg.HeartbeatRequest) {
	coordinate(c, req, (*group.Coordinator).Heartbeat)
}
