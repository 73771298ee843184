package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/group"
	"oneplusn/fanout/produce"
	"oneplusn/fanout/wire"
)

// The kinds of coordinators (version 1 on).
const (
	coordinatorOfGroup       = 0
	coordinatorOfTransaction = 1
)

func init() {
	register(handleFindCoordinator, Request{Max: 2,
		Does:     "finds the coordinator of a group",
		Versions: "0 asks for a group's; 1 and 2 for a group's or a transaction's, and have an error message. librdkafka takes 0 as the sign that lz4 may be used",
		Errors:   []int16{wire.CodeCoordinatorNotAvailable, wire.CodeInvalidRequest, wire.CodeTransactionalIDAuthorizationFailed},
	})
}

// handleFindCoordinator returns the coordinator of a group: this node.
//
// Behaviour:
//   - The offsets topic is made first, if it does not exist.
//   - A group whose partition of that topic is damaged has no coordinator until the partition is repaired.
//   - A transaction's coordinator is refused with an error that clients explain: there are no transactions.
func handleFindCoordinator(b *base, c *client, req *kmsg.FindCoordinatorRequest) {
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	resp.NodeID, resp.Port = -1, -1
	switch req.CoordinatorType {
	case coordinatorOfGroup:
		c.withCoordinator(func(g *group.Coordinator, failed error) {
			switch {
			case failed != nil:
				resp.ErrorCode = wire.CodeCoordinatorNotAvailable
				resp.ErrorMessage = kmsg.StringPtr("committed offsets cannot be stored: " + failed.Error())
			case g.Refused(req.CoordinatorKey):
				resp.ErrorCode = wire.CodeCoordinatorNotAvailable
				resp.ErrorMessage = kmsg.StringPtr("the group's committed offsets cannot be read: see the server's log")
			default:
				resp.NodeID = b.catalog.NodeID()
				resp.Host, resp.Port = c.advertised()
			}
			c.reply(resp)
		})
		return
	case coordinatorOfTransaction:
		resp.ErrorCode = wire.CodeTransactionalIDAuthorizationFailed
		resp.ErrorMessage = kmsg.StringPtr(produce.NoTransactions)
	default:
		resp.ErrorCode = wire.CodeInvalidRequest
	}
	c.reply(resp)
}
