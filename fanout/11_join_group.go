package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
	"oneplusn/fanout/wire"
)

func init() {
	register(handleJoinGroup, Request{Max: 5,
		Does:     "makes a client a member of its group's next generation",
		Versions: "from 1 on with a rebalance timeout; from 4 on a client without a member id gets one and has to join again with it (KIP-394); from 5 on with group.instance.id (KIP-345)",
		Errors: []int16{wire.CodeCoordinatorNotAvailable, wire.CodeInconsistentGroupProtocol, wire.CodeInvalidGroupID,
			wire.CodeUnknownMemberID, wire.CodeInvalidSessionTimeout, wire.CodeRebalanceInProgress, wire.CodePolicyViolation,
			wire.CodeMemberIDRequired, wire.CodeGroupMaxSizeReached, wire.CodeFencedInstanceID},
	})
}

// handleJoinGroup makes a client a member of its group's next generation.
//
// Behaviour:
//   - The answer comes when the rebalance ends: all members have joined, or the longest rebalance timeout among them has passed.
//   - A group's first member waits --group-lone-member-delay for others. Once a second arrives, both wait for more:
//     --group-initial-rebalance-delay.
//   - A pending member id delays a rebalance by two seconds at most, and not at all once its connection is closed; in Apache
//     Kafka by the client's session timeout.
//   - The longest-standing member that joins again is the leader. It gets the list of members, and assigns.
func handleJoinGroup(b *base, c *client, req *kmsg.JoinGroupRequest) {
	id, host := string(c.header.ClientID), hostOf(c)
	coordinated(func(g *group.Coordinator, now group.Instant, from group.Client, req *kmsg.JoinGroupRequest) {
		from.ID, from.Host = id, host
		g.JoinGroup(now, from, req)
	})(b, c, req)
}
