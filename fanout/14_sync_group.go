package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleSyncGroup gives a member its assignment.
//
// Behaviour:
//   - The answer comes when the leader's request has brought all assignments.
//   - Assignments are the clients' own affair: the server does not parse them.
//
// Versions: 0 to 3; 3 with group.instance.id.
func (b *Broker) handleSyncGroup(c *client, req *kmsg.SyncGroupRequest) {
	coordinate(c, req, (*group.Coordinator).SyncGroup)
}
