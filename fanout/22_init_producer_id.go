package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// handleInitProducerID hands out producer ids, which idempotent producers put into their batches.
//
// Behaviour:
//   - No id is handed out twice, not even after a crash.
//   - A transactional id is refused: there are no transactions.
//
// Versions: 0 and 1.
func (b *Broker) handleInitProducerID(c *conn, req *kmsg.InitProducerIDRequest) {
	resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	if req.TransactionalID != nil {
		resp.ErrorCode = wire.CodeTransactionalIDAuthorizationFailed
		b.reply(c, resp)
		return
	}
	m := &b.topics.meta
	if m.producerNext < m.producerEnd {
		b.giveProducerID(resp)
		b.reply(c, resp)
		return
	}
	end := m.producerEnd + producerBlock
	file := m.producerFile
	b.replyLater(c, func() (kmsg.Response, func()) {
		err := writeProducerEnd(file, end)
		return resp, func() {
			if err != nil {
				b.log.Error("producer ids could not be reserved", "error", err)
				resp.ErrorCode = wire.CodeKafkaStorageError
				return
			}
			m.producerEnd = max(m.producerEnd, end)
			if m.producerNext < m.producerEnd {
				b.giveProducerID(resp)
				return
			}
			resp.ErrorCode = wire.CodeCoordinatorLoadInProgress // others took the whole block; the client asks again
		}
	})
}

func (b *Broker) giveProducerID(resp *kmsg.InitProducerIDResponse) {
	m := &b.topics.meta
	resp.ProducerID, resp.ProducerEpoch = m.producerNext, 0
	m.producerNext++
}
