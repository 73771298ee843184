package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleJoinGroup makes a client a member of its group's next generation.
//
// Behaviour:
//   - The answer comes when the rebalance is over: when all members have joined, or the longest rebalance timeout among
//     them has passed.
//   - A group's first member waits --group-lone-member-delay for others, and once there is one both wait for more:
//     --group-initial-rebalance-delay.
//   - An id that was handed out holds up a rebalance for two seconds at most, and not at all once its connection is
//     closed; in Apache Kafka it does so for the session timeout that was asked for.
//   - The leader is the member that joined first and still does; it is told of all members, and assigns.
//
// Versions: 0 to 5. From 1 on with a rebalance timeout; from 4 on a client without a member id gets one and has to come
// again with it (KIP-394); from 5 on with group.instance.id (KIP-345).
func (b *Broker) handleJoinGroup(c *client, req *kmsg.JoinGroupRequest) {
	id, host := string(c.header.ClientID), hostOf(c)
	b.coordinate(c, func(g *group.Coordinator, from group.Client) {
		from.ID, from.Host = id, host
		g.JoinGroup(b.instant(), from, req)
	})
}
