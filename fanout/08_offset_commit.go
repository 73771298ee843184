package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleOffsetCommit keeps how far a group has read.
//
// Behaviour:
//   - The answer comes when the offsets are as safe as an acknowledged record is: see --fsync.
//   - A member's commit counts in its own generation alone; while its group waits for an assignment it is told to join
//     again. A client that is no member commits with generation -1, as long as the group has no members.
//   - Partitions that there are not are refused one by one, the others are kept.
//
// Versions: 0 to 7. 0 has no members; 2 to 4 may say how long to keep the offsets; from 7 on with group.instance.id.
func (b *Broker) handleOffsetCommit(c *client, req *kmsg.OffsetCommitRequest) {
	if req.Version == 0 {
		req.Generation = -1
	}
	b.coordinate(c, func(g *group.Coordinator, from group.Client) { g.OffsetCommit(b.instant(), from, req) })
}
