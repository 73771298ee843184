package fanout

import (
	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

// Heartbeat keeps a member in its group.
//
// Behaviour:
//   - REBALANCE_IN_PROGRESS tells the member to join again; ILLEGAL_GENERATION and UNKNOWN_MEMBER_ID tell it that the group
//     has gone on without it.
func init() {
	register(coordinated((*group.Coordinator).Heartbeat), Request{Max: 3,
		Does:     "keeps a member in its group",
		Versions: "3 with group.instance.id",
		Errors: []int16{wire.CodeCoordinatorNotAvailable, wire.CodeInvalidGroupID, wire.CodeIllegalGeneration,
			wire.CodeUnknownMemberID, wire.CodeRebalanceInProgress, wire.CodeFencedInstanceID},
	})
}
