package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleOffsetFetch tells how far a group has read.
//
// Behaviour:
//   - A group or a partition without a commit has offset -1 and no error: with another answer librdkafka's consumers
//     that assign their partitions themselves give up.
//   - From version 2 on, no list of topics means everything that the group has committed.
//
// Versions: 0 to 5; from 5 on with the leader epoch of the commit.
func (b *Broker) handleOffsetFetch(c *client, req *kmsg.OffsetFetchRequest) {
	b.askCoordinator(c, req, func(g *group.Coordinator) kmsg.Response { return g.OffsetFetch(req) })
}
