package fanout

import (
	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

// SyncGroup gives a member its assignment.
//
// Behaviour:
//   - The answer comes when the leader's request has brought all assignments.
//   - The server does not parse assignments.
func init() {
	register(coordinated((*group.Coordinator).SyncGroup), Request{Max: 3,
		Does:     "hands the assignment of a group to its members",
		Versions: "3 with group.instance.id",
		Errors: []int16{wire.CodeCoordinatorNotAvailable, wire.CodeInvalidGroupID, wire.CodeIllegalGeneration,
			wire.CodeUnknownMemberID, wire.CodeRebalanceInProgress, wire.CodePolicyViolation, wire.CodeFencedInstanceID},
	})
}
