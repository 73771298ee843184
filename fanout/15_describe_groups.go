package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

func init() {
	register(handleDescribeGroups, Request{Max: 4, onlyAsks: true,
		Does:     "describes groups and their members",
		Versions: "4 with group.instance.id",
		Errors:   []int16{wire.CodeCoordinatorNotAvailable, wire.CodeInvalidGroupID, wire.CodePolicyViolation},
	})
}

// handleDescribeGroups shows groups and their members. An unknown group is reported as "Dead", not as an error.
func handleDescribeGroups(b *base, c *client, req *kmsg.DescribeGroupsRequest) {
	askCoordinator(c, req, (*group.Coordinator).DescribeGroups)
}
