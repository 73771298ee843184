package fanout

import (
	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

// ListGroups names all groups, including those without members whose offsets have not expired.
func init() {
	register(asked((*group.Coordinator).ListGroups), Request{Max: 2, onlyAsks: true,
		Does:   "lists the groups",
		Errors: []int16{wire.CodeCoordinatorNotAvailable, wire.CodePolicyViolation},
	})
}
