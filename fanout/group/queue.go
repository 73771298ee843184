package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/segment/mark"
)

// Output is work for the caller: records to append, and replies to send after that. A large request's records come in
// several outputs, so that no turn of the loop takes long.
type Output struct {
	Replies []Reply
	Records []Record
}

// queue holds the live records to be written. A record is encoded when it is taken: until then it takes no memory of its
// own, and an offset that is committed twice meanwhile is written once.
type queue struct {
	live []*liveRecord
	head int
	// queued and taken number the live records that have been queued and taken.
	queued, taken uint64
	// first is the first number that belongs to the request that is being answered.
	first   uint64
	replies []Reply // that can be sent
	waiting []Reply // for records that are still to be taken
	reaping []Reply // for the reaper
	lost    []numbers
	// open are the tickets of requests without an answer, if invariants are checked.
	open map[uint64]struct{}
}

// numbers are those of consecutive records.
type numbers struct{ first, last uint64 }

// begin starts a request whose reply is durable.
func (q *queue) begin() { q.first = q.queued + 1 }

func (q *queue) push(r *liveRecord) {
	if r.queued {
		mark.Hit("an offset or group changed before its record was written")
		q.first = min(q.first, r.number)
		return
	}
	q.queued++
	r.queued, r.number = true, q.queued
	q.live = append(q.live, r)
}

func (c *Coordinator) reply(ticket uint64, response kmsg.Response) {
	c.queue.answered(ticket)
	c.queue.replies = append(c.queue.replies, Reply{Ticket: ticket, Response: response})
}

// replyDurable answers a request when its records since begin are durable.
func (c *Coordinator) replyDurable(ticket uint64, response kmsg.Response) {
	q := &c.queue
	q.answered(ticket)
	q.waiting = append(q.waiting, Reply{Ticket: ticket, Response: response, Durable: true, first: q.first, last: q.queued})
}

// ReplyReaped sends a response when the tombstones of everything deleted so far are durable. The ticket need not be that
// of a request to the coordinator.
func (c *Coordinator) ReplyReaped(ticket uint64, response kmsg.Response) {
	q := &c.queue
	q.reaping = append(q.reaping,
		Reply{Ticket: ticket, Response: response, Durable: true, first: q.first, reaped: c.reaper.queued})
}

// Settled reports whether there is nothing to take, and nothing to reap.
func (c *Coordinator) Settled() bool { return len(c.reaper.lists) == 0 && !c.HasOutput() }

// TakeReplies moves the replies that depend on no record into out, and nothing else: for use while the records of the
// last output are being written. It reports false if there are none.
func (c *Coordinator) TakeReplies(out *Output) bool {
	q := &c.queue
	out.Records = out.Records[:0]
	out.Replies, q.replies = q.replies, out.Replies[:0]
	return len(out.Replies) > 0
}

// HasReplies reports whether there is something for TakeReplies to take.
func (c *Coordinator) HasReplies() bool { return len(c.queue.replies) > 0 }

// Mark is the number of the record that was queued last.
func (c *Coordinator) Mark() uint64 { return c.queue.queued }

// Taken reports whether an output has had the record of a [Coordinator.Mark] and all before it.
func (c *Coordinator) Taken(mark uint64) bool { return c.queue.taken >= mark }

// HasOutput reports whether there is something to take.
func (c *Coordinator) HasOutput() bool {
	q := &c.queue
	return len(q.replies) > 0 || q.head < len(q.live) || len(q.waiting) > 0 ||
		len(q.reaping) > 0 && q.reaping[0].reaped <= c.reaper.reaped
}

// TakeOutput moves the pending work into out, whose slices it reuses. It reports false if there is none.
func (c *Coordinator) TakeOutput(out *Output) bool {
	c.checkOften()
	q := &c.queue
	out.Records = c.takeRecords(out.Records[:0])
	out.Replies, q.replies = q.replies, out.Replies[:0]
	n := 0
	for ; n < len(q.reaping) && q.reaping[n].reaped <= c.reaper.reaped; n++ {
		q.reaping[n].last = q.queued // the tombstones have been queued since
		q.waiting = append(q.waiting, q.reaping[n])
	}
	q.reaping = cutFirst(q.reaping, n)
	for n = 0; n < len(q.waiting) && q.waiting[n].last <= q.taken; n++ {
		out.Replies = append(out.Replies, q.waiting[n])
	}
	q.waiting = cutFirst(q.waiting, n)
	return len(out.Replies)+len(out.Records) > 0
}

// cutFirst removes the first n replies.
func cutFirst(replies []Reply, n int) []Reply {
	rest := copy(replies, replies[n:])
	clear(replies[rest:])
	return replies[:rest]
}

func (c *Coordinator) takeRecords(records []Record) []Record {
	q := &c.queue
	for bytes := 0; q.head < len(q.live) && len(records) < c.steps.records && bytes < c.steps.bytes; q.head++ {
		r := q.live[q.head]
		q.live[q.head] = nil
		q.taken++
		r.queued = false
		if r.log == nil {
			continue
		}
		if next := r.source.successor(c); next != nil && next != r && next.number < r.number {
			mark.Hit("a tombstone came after the new record of its key")
			// The key's new record was written before this one, a tombstone that came late or was lost once.
			if r.dead {
				c.tombstoned(r)
			}
			continue
		}
		record := Record{Partition: r.log.partition, Key: r.source.key(), live: r, number: r.number}
		if !r.dead {
			record.Value = r.source.value(c.config.MaxRecordBytes)
		}
		bytes += len(record.Key) + len(record.Value)
		records = append(records, record)
	}
	if q.head == len(q.live) {
		q.live, q.head = q.live[:0], 0
		if cap(q.live) > 4*c.steps.records {
			q.live = nil
		}
	}
	return records
}
