package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

func init() {
	register(handleListGroups, Request{Max: 2, onlyAsks: true,
		Does:   "lists the groups",
		Errors: []int16{wire.CodeCoordinatorNotAvailable, wire.CodePolicyViolation},
	})
}

// handleListGroups names all groups, including those without members whose offsets have not expired.
func handleListGroups(b *base, c *client, req *kmsg.ListGroupsRequest) {
	askCoordinator(c, req, (*group.Coordinator).ListGroups)
}
