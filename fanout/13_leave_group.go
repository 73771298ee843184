package fanout

import (
	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

// LeaveGroup removes members from their group at once.
func init() {
	register(coordinated((*group.Coordinator).LeaveGroup), Request{Max: 3,
		Does:     "takes members out of a group",
		Versions: "0 to 2 name one member, 3 several; a static member's group.instance.id is enough",
		Errors: []int16{wire.CodeCoordinatorNotAvailable, wire.CodeInvalidGroupID, wire.CodeUnknownMemberID,
			wire.CodeFencedInstanceID},
	})
}
