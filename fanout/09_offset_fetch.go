package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
)

// handleOffsetFetch tells how far a group has read.
//
// Behaviour:
//   - A group or a partition without a commit has offset -1 and no error: on an error librdkafka's consumers with manual
//     assignment give up.
//   - From version 2 on, a null list of topics asks for everything that the group has committed.
//
// Versions: 0 to 5; from 5 on with the leader epoch of the commit.
func (b *Broker) handleOffsetFetch(c *client, req *kmsg.OffsetFetchRequest) {
	askCoordinator(c, req, (*group.Coordinator).OffsetFetch)
}
