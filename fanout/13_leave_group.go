package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleLeaveGroup removes members from their group at once.
//
// Versions: 0 to 3; 0 to 2 name one member, 3 several; a static member's group.instance.id is enough.
func (b *Broker) handleLeaveGroup(c *client, req *kmsg.LeaveGroupRequest) {
	coordinate(c, req, (*group.Coordinator).LeaveGroup)
}
