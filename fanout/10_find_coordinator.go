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

// handleFindCoordinator answers that there is no coordinator.
//
// Versions: 0 asks for a group's; 1 and 2 for a group's or a transaction's, and have an error message. Version 0 must
// be advertised: librdkafka takes it as the sign that lz4 may be used.
func (b *Broker) handleFindCoordinator(req *kmsg.FindCoordinatorRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	resp.NodeID, resp.Port = -1, -1
	resp.ErrorCode = wire.CodeCoordinatorNotAvailable
	resp.ErrorMessage = kmsg.StringPtr("this server has no consumer groups: assign partitions to the consumer directly")
	if req.CoordinatorType == coordinatorOfTransaction {
		resp.ErrorCode = wire.CodeTransactionalIDAuthorizationFailed
		resp.ErrorMessage = kmsg.StringPtr(noTransactions)
	} else if req.CoordinatorType != coordinatorOfGroup {
		resp.ErrorCode = wire.CodeInvalidRequest
	}
	return resp
}
