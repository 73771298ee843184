package group

import (
	"slices"

	"oneplusn/segment/mark"
)

// maxLost is the number of distinct ranges of lost records; beyond it ranges merge.
const maxLost = 64

// Appended says where a record of [Output] is in the log.
func (c *Coordinator) Appended(record *Record, offset int64) {
	r := record.live
	switch {
	case r.number != record.number || r.log == nil: // it has changed since, and will be written again
		mark.Hit("an offset or group changed while its record was written")
	case r.dead:
		c.tombstoned(r)
	default:
		r.offset = offset
	}
}

// tombstoned forgets a record whose tombstone needs no more writing.
func (c *Coordinator) tombstoned(r *liveRecord) {
	r.unlink()
	c.budget.Give(r.source.bytes())
}

// Lost notes that a record could not be appended. Its state stays in effect, and Rewrite writes it again before any other.
func (c *Coordinator) Lost(record *Record) {
	q := &c.queue
	if len(q.lost) == maxLost {
		q.lost = append(q.lost[:0], numbers{q.lost[0].first, q.lost[maxLost-1].last}) // rather refuse too many
	}
	if k := len(q.lost); k > 0 && q.lost[k-1].last+1 == record.number {
		q.lost[k-1].last = record.number
	} else {
		q.lost = append(q.lost, numbers{record.number, record.number})
	}
	r := record.live
	if r.number != record.number || r.log == nil {
		return
	}
	r.link.Remove()
	r.offset = lostOffset
	r.log.live.PushFront(&r.link, r)
}

// WasLost reports whether records that a durable reply depends on were lost.
func (c *Coordinator) WasLost(r *Reply) bool {
	return slices.ContainsFunc(c.queue.lost, func(n numbers) bool { return r.first <= n.last && r.last >= n.first })
}
