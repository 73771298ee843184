package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// The kinds of coordinator that clients look for (version 1 on).
const (
	coordinatorOfGroup       = 0
	coordinatorOfTransaction = 1
)

// handleFindCoordinator says where the coordinator of a group is: here.
//
// Behaviour:
//   - The topic that keeps the groups' offsets is made first, if there is none yet.
//   - For a group whose partition of that topic is damaged there is no coordinator until it is mended.
//   - A transaction's coordinator is refused with an error that clients explain: there are no transactions.
//
// Versions: 0 asks for a group's; 1 and 2 for a group's or a transaction's, and have an error message. Version 0 must
// be advertised: librdkafka takes it as the sign that lz4 may be used.
func (b *Broker) handleFindCoordinator(c *client, req *kmsg.FindCoordinatorRequest) {
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	resp.NodeID, resp.Port = -1, -1
	switch req.CoordinatorType {
	case coordinatorOfGroup:
		end := c.errand()
		b.withCoordinator(func(failed error) {
			if !end() {
				return
			}
			switch {
			case failed != nil:
				resp.ErrorCode = wire.CodeCoordinatorNotAvailable
				resp.ErrorMessage = kmsg.StringPtr("committed offsets can't be kept: " + failed.Error())
			case b.groups.coordinator.Refused(req.CoordinatorKey):
				resp.ErrorCode = wire.CodeCoordinatorNotAvailable
				resp.ErrorMessage = kmsg.StringPtr("what the group has committed can't be read: see the server's log")
			default:
				b.coordinatorOf(c, resp)
			}
			b.reply(c, resp)
		})
		return
	case coordinatorOfTransaction:
		resp.ErrorCode = wire.CodeTransactionalIDAuthorizationFailed
		resp.ErrorMessage = kmsg.StringPtr(noTransactions)
	default:
		resp.ErrorCode = wire.CodeInvalidRequest
	}
	b.reply(c, resp)
}
