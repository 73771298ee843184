package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleListGroups names all groups, including those without members whose offsets have not expired.
//
// Versions: 0 to 2.
func (b *Broker) handleListGroups(c *client, req *kmsg.ListGroupsRequest) {
	askCoordinator(c, req, (*group.Coordinator).ListGroups)
}
