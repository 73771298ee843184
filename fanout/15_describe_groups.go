package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleDescribeGroups shows groups and their members. A group that there is not is "Dead", without an error.
//
// Versions: 0 to 4; 4 with group.instance.id.
func (b *Broker) handleDescribeGroups(c *client, req *kmsg.DescribeGroupsRequest) {
	b.askCoordinator(c, req, func(g *group.Coordinator) kmsg.Response { return g.DescribeGroups(req) })
}
