package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleSyncGroup gives a member its assignment.
//
// Behaviour:
//   - The answer comes when the leader's request has brought the assignment of all.
//   - What the assignment says is between the clients; it is not looked at.
//
// Versions: 0 to 3; 3 with group.instance.id.
func (b *Broker) handleSyncGroup(c *client, req *kmsg.SyncGroupRequest) {
	b.coordinate(c, func(g *group.Coordinator, from group.Client) { g.SyncGroup(b.instant(), from, req) })
}
