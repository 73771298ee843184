package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleDeleteGroups forgets groups without members, and their offsets.
//
// Versions: 0 and 1.
func (b *Broker) handleDeleteGroups(c *client, req *kmsg.DeleteGroupsRequest) {
	coordinate(c, req, (*group.Coordinator).DeleteGroups)
}
