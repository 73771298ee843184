package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

func init() {
	register(handleSyncGroup, Request{Max: 3,
		Does:     "hands the assignment of a group to its members",
		Versions: "3 with group.instance.id",
		Errors: []int16{wire.CodeCoordinatorNotAvailable, wire.CodeInvalidGroupID, wire.CodeIllegalGeneration,
			wire.CodeUnknownMemberID, wire.CodeRebalanceInProgress, wire.CodePolicyViolation, wire.CodeFencedInstanceID},
	})
}

// handleSyncGroup gives a member its assignment.
//
// Behaviour:
//   - The answer comes when the leader's request has brought all assignments.
//   - Assignments are the clients' own affair: the server does not parse them.
func handleSyncGroup(b *base, c *client, req *kmsg.SyncGroupRequest) {
	coordinate(c, req, (*group.Coordinator).SyncGroup)
}
