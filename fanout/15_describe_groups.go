package fanout

import (
	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

// DescribeGroups shows groups and their members. An unknown group is reported as "Dead", not as an error.
func init() {
	register(asked((*group.Coordinator).DescribeGroups), Request{Max: 4, onlyAsks: true,
		Does:     "describes groups and their members",
		Versions: "4 with group.instance.id",
		Errors:   []int16{wire.CodeCoordinatorNotAvailable, wire.CodeInvalidGroupID, wire.CodePolicyViolation},
	})
}
