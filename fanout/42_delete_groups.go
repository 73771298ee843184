package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleDeleteGroups forgets groups that have no members, with their offsets.
//
// Versions: 0 and 1.
func (b *Broker) handleDeleteGroups(c *client, req *kmsg.DeleteGroupsRequest) {
	b.coordinate(c, func(g *group.Coordinator, from group.Client) { g.DeleteGroups(b.instant(), from, req) })
}
