package group

import "github.com/twmb/franz-go/pkg/kmsg"

// Output is what there is to do: records to append, and replies to send after that. A large request's records come in
// several of them, so that no turn of the loop takes long.
type Output struct {
	Replies []Reply
	Records []Record
}

// queue are the living records that have to be written, by their nodes: a record is encoded when it is taken, so what
// waits takes no memory of its own, and what is committed twice meanwhile is written once.
type queue struct {
	nodes []*node
	head  int
	// queued and taken number the nodes that have been put on and taken off.
	queued, taken uint64
	// first is the first number that belongs to the request that is being answered.
	first   uint64
	replies []Reply // that can be sent
	waiting []Reply // for records that are still to be taken
	burying []Reply // for offsets that are forgotten first
	lost    []numbers
}

// numbers are those of consecutive records.
type numbers struct{ first, last uint64 }

// begin starts a request whose reply is durable.
func (q *queue) begin() { q.first = q.queued + 1 }

func (q *queue) push(n *node) {
	if n.queued {
		q.first = min(q.first, n.number)
		return
	}
	q.queued++
	n.queued, n.number = true, q.queued
	q.nodes = append(q.nodes, n)
}

func (c *Coordinator) reply(ticket uint64, response kmsg.Response) {
	c.queue.replies = append(c.queue.replies, Reply{Ticket: ticket, Response: response})
}

// replyDurable answers a request when what it wrote since begin is kept.
func (c *Coordinator) replyDurable(ticket uint64, response kmsg.Response) {
	q := &c.queue
	q.waiting = append(q.waiting, Reply{Ticket: ticket, Response: response, Durable: true, first: q.first, last: q.queued})
}

// ReplyForgotten has a response sent when all is written off that was to be forgotten up to now.
func (c *Coordinator) ReplyForgotten(ticket uint64, response kmsg.Response) {
	q := &c.queue
	q.burying = append(q.burying,
		Reply{Ticket: ticket, Response: response, Durable: true, first: q.first, buried: c.graves.buried})
}

// Settled says that there is nothing to take, and no offset left that is being forgotten.
func (c *Coordinator) Settled() bool { return len(c.graves.lists) == 0 && !c.HasOutput() }

// TakeReplies moves into out the replies that depend on no record, and nothing else: for while the records of the last
// output are still on their way. It reports false if there are none.
func (c *Coordinator) TakeReplies(out *Output) bool {
	q := &c.queue
	out.Records = out.Records[:0]
	out.Replies, q.replies = q.replies, out.Replies[:0]
	return len(out.Replies) > 0
}

// HasReplies says that there is something for TakeReplies to take.
func (c *Coordinator) HasReplies() bool { return len(c.queue.replies) > 0 }

// Mark is the number of the record that was queued last.
func (c *Coordinator) Mark() uint64 { return c.queue.queued }

// Taken says whether an output has had the record of a [Coordinator.Mark] and all before it.
func (c *Coordinator) Taken(mark uint64) bool { return c.queue.taken >= mark }

// HasOutput says that there is something to take.
func (c *Coordinator) HasOutput() bool {
	q := &c.queue
	return len(q.replies) > 0 || q.head < len(q.nodes) || len(q.waiting) > 0 ||
		len(q.burying) > 0 && q.burying[0].buried <= c.graves.emptied
}

// TakeOutput moves what there is to do into out, whose slices are used again. It reports false if there is nothing.
func (c *Coordinator) TakeOutput(out *Output) bool {
	q := &c.queue
	out.Records = c.takeRecords(out.Records[:0])
	out.Replies, q.replies = q.replies, out.Replies[:0]
	n := 0
	for ; n < len(q.burying) && q.burying[n].buried <= c.graves.emptied; n++ {
		q.burying[n].last = q.queued // the tombstones have been queued since
		q.waiting = append(q.waiting, q.burying[n])
	}
	q.burying = cutFirst(q.burying, n)
	for n = 0; n < len(q.waiting) && q.waiting[n].last <= q.taken; n++ {
		out.Replies = append(out.Replies, q.waiting[n])
	}
	q.waiting = cutFirst(q.waiting, n)
	return len(out.Replies)+len(out.Records) > 0
}

// cutFirst takes the first n replies away.
func cutFirst(replies []Reply, n int) []Reply {
	rest := copy(replies, replies[n:])
	clear(replies[rest:])
	return replies[:rest]
}

func (c *Coordinator) takeRecords(records []Record) []Record {
	q := &c.queue
	for bytes := 0; q.head < len(q.nodes) && len(records) < c.steps.records && bytes < c.steps.bytes; q.head++ {
		n := q.nodes[q.head]
		q.nodes[q.head] = nil
		q.taken++
		n.queued = false
		if n.trail == nil {
			continue
		}
		if next := n.kept.successor(c); next != nil && next != n && next.number < n.number {
			// What has the key now was written before this, which is being forgotten: it came late, or was lost once.
			if n.dead {
				n.unlink()
				c.budget.give(n.kept.bytes())
			}
			continue
		}
		r := Record{Partition: n.trail.partition, Key: n.kept.key(), node: n, number: n.number}
		if !n.dead {
			r.Value = n.kept.value(c.config.MaxRecordBytes)
		}
		bytes += len(r.Key) + len(r.Value)
		records = append(records, r)
	}
	if q.head == len(q.nodes) {
		q.nodes, q.head = q.nodes[:0], 0
		if cap(q.nodes) > 4*c.steps.records {
			q.nodes = nil
		}
	}
	return records
}

// maxLost is how many ranges of lost records are told apart.
const maxLost = 64

// Appended says where a record of [Output] has been put.
func (c *Coordinator) Appended(r *Record, offset int64) {
	n := r.node
	switch {
	case n.number != r.number || n.trail == nil: // it has changed since, and will be written again
	case n.dead:
		n.unlink()
		c.budget.give(n.kept.bytes())
	default:
		n.offset = offset
	}
}

// Lost says that a record could not be appended. What it says stays true here, and it will be the first that Rewrite
// writes again.
func (c *Coordinator) Lost(r *Record) {
	q := &c.queue
	if len(q.lost) == maxLost {
		q.lost = append(q.lost[:0], numbers{q.lost[0].first, q.lost[maxLost-1].last}) // rather refuse too many
	}
	if k := len(q.lost); k > 0 && q.lost[k-1].last+1 == r.number {
		q.lost[k-1].last = r.number
	} else {
		q.lost = append(q.lost, numbers{r.number, r.number})
	}
	n := r.node
	if n.number != r.number || n.trail == nil {
		return
	}
	t := n.trail
	n.unlink()
	n.offset = lostOffset
	t.pushFirst(n)
}

// WasLost says whether records that a durable reply depends on were lost.
func (c *Coordinator) WasLost(r *Reply) bool {
	for _, lost := range c.queue.lost {
		if r.first <= lost.last && r.last >= lost.first {
			return true
		}
	}
	return false
}
