package fanout

import (
	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

// OffsetCommit stores how far a group has read.
//
// Behaviour:
//   - The answer comes when the offsets are as safe as an acknowledged record: see --fsync.
//   - A member commits in its own generation only; while its group waits for an assignment it has to join again. A client that
//     is not a member commits with generation -1, as long as the group has no members.
//   - Unknown partitions get an error each; the others are stored.
func init() {
	register(coordinated((*group.Coordinator).OffsetCommit), Request{Max: 7,
		Does:     "stores how far a group has read",
		Versions: "0 has no members; 2 to 4 may carry a retention time; from 7 on with group.instance.id",
		Errors: []int16{wire.CodeUnknownTopicOrPartition, wire.CodeOffsetMetadataTooLarge, wire.CodeCoordinatorNotAvailable,
			wire.CodeInvalidGroupID, wire.CodeIllegalGeneration, wire.CodeUnknownMemberID, wire.CodeRebalanceInProgress,
			wire.CodePolicyViolation, wire.CodeFencedInstanceID, wire.CodeGroupMaxSizeReached},
	})
}
