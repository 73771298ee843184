package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

func init() {
	register(handleLeaveGroup, Request{Max: 3,
		Does:     "takes members out of a group",
		Versions: "0 to 2 name one member, 3 several; a static member's group.instance.id is enough",
		Errors: []int16{wire.CodeCoordinatorNotAvailable, wire.CodeInvalidGroupID, wire.CodeUnknownMemberID,
			wire.CodeFencedInstanceID},
	})
}

// handleLeaveGroup removes members from their group at once.
func handleLeaveGroup(b *base, c *client, req *kmsg.LeaveGroupRequest) {
	coordinate(c, req, (*group.Coordinator).LeaveGroup)
}
