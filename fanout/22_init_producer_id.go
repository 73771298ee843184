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
func (b *Broker) handleInitProducerID(c *client, req *kmsg.InitProducerIDRequest) {
	resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	if req.TransactionalID != nil {
		resp.ErrorCode = wire.CodeTransactionalIDAuthorizationFailed
		b.reply(c, resp)
		return
	}
	end := c.errand()
	b.takeProducerID(func(id int64, err error) {
		if err != nil {
			resp.ErrorCode = wire.CodeKafkaStorageError
		} else {
			resp.ProducerID, resp.ProducerEpoch = id, 0
		}
		if end() {
			b.reply(c, resp)
		}
	})
}

// takeProducerID calls done with the next id: at once, or when more are reserved on the disk. All who wait meanwhile share
// the reservation.
func (b *Broker) takeProducerID(done func(id int64, err error)) {
	m := &b.topics.meta
	if len(m.idsWanted) == 0 {
		if id, ok := m.takeID(); ok {
			done(id, nil)
			return
		}
	}
	m.idsWanted = append(m.idsWanted, done)
	b.reserveProducerIDs()
}

func (b *Broker) reserveProducerIDs() {
	m := &b.topics.meta
	if m.reserving {
		return
	}
	m.reserving = true
	b.topics.changes.write(&m.idsFile, func(err error) {
		waiting := m.idsWanted
		m.idsWanted = nil
		if err != nil {
			b.loop.Log.Error("producer ids could not be reserved", "error", err, "remedy", storageRemedy(err))
		}
		for len(waiting) > 0 {
			id, ok := int64(-1), err != nil
			if err == nil {
				id, ok = m.takeID()
			}
			if !ok {
				break
			}
			waiting[0](id, err) // who may ask for another one at once
			waiting = waiting[1:]
		}
		m.reserving = false
		if m.idsWanted = append(waiting, m.idsWanted...); len(m.idsWanted) > 0 {
			b.reserveProducerIDs()
		}
	})
}
