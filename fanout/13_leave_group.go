package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleLeaveGroup takes members out of their group at once.
//
// Versions: 0 to 3; 0 to 2 name one member, 3 several, of which static ones may go by their group.instance.id alone.
func (b *Broker) handleLeaveGroup(c *client, req *kmsg.LeaveGroupRequest) {
	b.coordinate(c, func(g *group.Coordinator, from group.Client) { g.LeaveGroup(b.instant(), from, req) })
}
