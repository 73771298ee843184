package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// handleOther answers the requests that are not on the path of records. They are decoded by kmsg, which copies what it
// reads, so a handler may keep it.
func (b *Broker) handleOther(c *conn) error {
	decoded, err := wire.DecodeRequest(c.header)
	if err != nil {
		return err
	}
	switch req := decoded.(type) {
	case *kmsg.ListOffsetsRequest:
		b.handleListOffsets(c, req)
	case *kmsg.MetadataRequest:
		b.handleMetadata(c, req)
	case *kmsg.FindCoordinatorRequest:
		b.reply(c, b.handleFindCoordinator(req))
	case *kmsg.CreateTopicsRequest:
		b.handleCreateTopics(c, req)
	case *kmsg.DeleteTopicsRequest:
		b.reply(c, b.handleDeleteTopics(req))
	case *kmsg.InitProducerIDRequest:
		b.handleInitProducerID(c, req)
	case *kmsg.DeleteRecordsRequest:
		b.handleDeleteRecords(c, req)
	case *kmsg.DescribeConfigsRequest:
		b.reply(c, b.handleDescribeConfigs(req))
	case *kmsg.IncrementalAlterConfigsRequest:
		b.handleIncrementalAlterConfigs(c, req)
	default:
		return wire.ErrUnknownKey
	}
	return nil
}

// reply encodes and sends a response of kmsg's.
func (b *Broker) reply(c *conn, response kmsg.Response) {
	b.respond(c, wire.AppendResponse(b.scratch[:0], c.header.CorrelationID, response))
}

// replyLater runs work in the background and sends the response that it returns, if the connection is still there.
// apply, which may be nil, runs on the loop before that, whether or not it is.
func (b *Broker) replyLater(c *conn, work func() (response kmsg.Response, apply func())) {
	slot, generation := c.slot, c.generation
	b.background(func() func() {
		response, apply := work()
		return func() {
			if apply != nil {
				apply()
			}
			if c := b.again(slot, generation); c != nil {
				b.reply(c, response)
			}
		}
	})
}

// noTransactions is what clients that ask for transactions are told.
const noTransactions = "this server has no transactions: remove transactional.id from the producer's configuration"
