package fanout

import (
	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

// DeleteGroups deletes groups without members, and their offsets.
func init() {
	register(coordinated((*group.Coordinator).DeleteGroups), Request{Max: 1,
		Does: "deletes groups without members, and their offsets",
		Errors: []int16{wire.CodeCoordinatorNotAvailable, wire.CodeInvalidGroupID, wire.CodeNonEmptyGroup,
			wire.CodeGroupIDNotFound},
	})
}
