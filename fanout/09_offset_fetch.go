package fanout

import (
	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

// OffsetFetch returns how far a group has read.
//
// Behaviour:
//   - A group or a partition without a commit has offset -1 and no error: on an error librdkafka's consumers with manual
//     assignment give up.
//   - From version 2 on, a null list of topics asks for everything that the group has committed.
func init() {
	register(asked((*group.Coordinator).OffsetFetch), Request{Max: 5, onlyAsks: true,
		Does:     "returns how far a group has read",
		Versions: "from 2 on for all topics; from 5 on with the leader epoch of the commit",
		Errors:   []int16{wire.CodeCoordinatorNotAvailable, wire.CodeInvalidGroupID, wire.CodePolicyViolation},
	})
}
