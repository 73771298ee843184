package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleListGroups names all groups, those without members too as long as their offsets are kept.
//
// Versions: 0 to 2.
func (b *Broker) handleListGroups(c *client, req *kmsg.ListGroupsRequest) {
	b.askCoordinator(c, req, func(g *group.Coordinator) kmsg.Response { return g.ListGroups(req) })
}
