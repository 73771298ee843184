package fanout

import (
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/conn"
	"oneplusn/fanout/group"
)

// withCoordinator calls do when there is a coordinator, or with the error of creating its topic. If the client has disconnected
// meanwhile it does nothing: the coordinator would never hear of the disconnect.
func (c *client) withCoordinator(do func(g *group.Coordinator, failed error)) {
	end := c.Errand()
	c.base.offsets.WithCoordinator(func(g *group.Coordinator, failed error) {
		if end() {
			do(g, failed)
		}
	})
}

// coordinated passes a request to the coordinator, which answers it with a later turn's output.
func coordinated[R kmsg.Request](handle func(*group.Coordinator, group.Instant, group.Client, R)) func(*base, *client, R) {
	return func(b *base, c *client, req R) {
		c.withCoordinator(func(g *group.Coordinator, failed error) {
			if failed != nil {
				c.Close(conn.ByStorage, failed)
				return
			}
			c.coordinated = true
			handle(g, b.offsets.Instant(), group.Client{Ticket: uint64(c.ID())}, req)
		})
	}
}

// asked answers a read-only request of the coordinator at once, not with the others at the end of a turn: so only one such answer
// at a time is in memory that no budget counts. A costly one waits for its turn.
func asked[R kmsg.Request](answer func(*group.Coordinator, R) kmsg.Response) func(*base, *client, R) {
	return func(b *base, c *client, req R) {
		if g := b.offsets.Coordinator(); g != nil && c.PutOff(g.Asked(req)) {
			return
		}
		c.withCoordinator(func(g *group.Coordinator, failed error) {
			if failed != nil {
				c.Close(conn.ByStorage, failed)
				return
			}
			c.reply(answer(g, req))
		})
	}
}

// replyTo answers the request of a ticket, unless its client has disconnected.
func (b *base) replyTo(ticket uint64, response kmsg.Response) {
	if open := b.conns.Find(conn.ID(ticket)); open != nil {
		c := &b.clients[open.Slot()]
		if !c.coordinated {
			panic(fmt.Sprintf("fanout: the coordinator answers connection %d, whose request it does not have: %T", open.Slot(), response))
		}
		c.coordinated = false
		c.reply(response)
	}
}

// hostOf is a client's address as Apache Kafka writes it.
func hostOf(c *client) string {
	host, _, err := net.SplitHostPort(c.Peer())
	if err != nil {
		return "?"
	}
	return "/" + host
}
