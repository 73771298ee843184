package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleDescribeGroups shows groups and their members. An unknown group is reported as "Dead", not as an error.
//
// Versions: 0 to 4; 4 with group.instance.id.
func (b *Broker) handleDescribeGroups(c *client, req *kmsg.DescribeGroupsRequest) {
	askCoordinator(c, req, (*group.Coordinator).DescribeGroups)
}
