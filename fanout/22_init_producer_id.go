package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

func init() {
	register(handleInitProducerID, Request{Max: 1,
		Does:   "gives an idempotent producer its id",
		Errors: []int16{wire.CodeTransactionalIDAuthorizationFailed, wire.CodeKafkaStorageError},
	})
}

// handleInitProducerID hands out producer ids, which idempotent producers put into their batches.
//
// Behaviour:
//   - No id is handed out twice, not even after a crash.
//   - A transactional id is refused: there are no transactions.
func handleInitProducerID(b *base, c *client, req *kmsg.InitProducerIDRequest) {
	resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	if req.TransactionalID != nil {
		resp.ErrorCode = wire.CodeTransactionalIDAuthorizationFailed
		c.reply(resp)
		return
	}
	reply := c.later()
	b.catalog.TakeProducerID(func(id int64, err error) {
		if err != nil {
			resp.ErrorCode = wire.CodeKafkaStorageError
		} else {
			resp.ProducerID, resp.ProducerEpoch = id, 0
		}
		reply(resp)
	})
}
