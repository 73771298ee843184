package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

func init() {
	register(handleDeleteGroups, Request{Max: 1,
		Does: "forgets groups without members, and their offsets",
		Errors: []int16{wire.CodeCoordinatorNotAvailable, wire.CodeInvalidGroupID, wire.CodeNonEmptyGroup,
			wire.CodeGroupIDNotFound},
	})
}

// handleDeleteGroups forgets groups without members, and their offsets.
func handleDeleteGroups(b *base, c *client, req *kmsg.DeleteGroupsRequest) {
	coordinate(c, req, (*group.Coordinator).DeleteGroups)
}
