package fanout

import (
	"oneplusn/fanout/group"
)

// heldReplies is a turn's durable replies.
type heldReplies struct {
	replies *pendingReplies
	last    int64 // the last offset in this partition that they wait for
}

// pendingReplies wait for every partition that their turn wrote to.
type pendingReplies struct {
	replies []group.Reply
	left    int
	failed  bool
}

// flushGroups appends the records of a turn, and then answers its requests: those that promise something when it is
// kept as --fsync says.
func (b *Broker) flushGroups() {
	g := &b.groups
	if !g.coordinator.TakeOutput(&g.out) {
		return
	}
	pending, err := b.keepRecords(g.out.Records)
	for i := range g.out.Replies {
		r := &g.out.Replies[i]
		switch {
		case !r.Durable:
		case err != nil:
			r.Refuse()
		case pending.left > 0:
			pending.replies = append(pending.replies, *r)
			continue
		}
		b.answerGroup(r)
	}
	clear(g.out.Replies)
	clear(g.out.Records)
}

func (b *Broker) answerGroup(r *group.Reply) {
	if c := b.again(slotOf(r.Ticket)); c != nil {
		b.reply(c, r.Response)
	}
}

// keepRecords appends records to the logs of their partitions. The replies that depend on them wait in pending for the
// partitions that have still to be synced.
func (b *Broker) keepRecords(records []group.Record) (pending *pendingReplies, failed error) {
	pending = new(pendingReplies)
	for i := range b.groups.topic.partitions {
		if err := b.keepIn(int32(i), records, pending); err != nil {
			failed = err
		}
	}
	return pending, failed
}

func (b *Broker) keepIn(partition int32, records []group.Record, pending *pendingReplies) error {
	g := &b.groups
	p := g.topic.partitions[partition]
	mine := records
	if len(g.topic.partitions) > 1 {
		mine = nil
		for i := range records {
			if records[i].Partition == partition {
				mine = append(mine, records[i])
			}
		}
	}
	if len(mine) == 0 {
		return nil
	}
	now := b.wallMillis()
	g.batch = group.AppendBatches(g.batch[:0], mine, now)
	appended, err := p.log.Append(g.batch, now)
	if err != nil {
		for i := range mine {
			g.coordinator.Lost(&mine[i])
		}
		w := &g.rewrites[partition]
		w.lost, w.next = true, b.now+rewriteRetry
		if g.log.allow(b.now) {
			b.log.Error("committed offsets could not be written, clients try again", "partition", partition, "error", err,
				"remedy", storageRemedy(err))
		}
		return err
	}
	if w := &g.rewrites[partition]; w.lost {
		w.next = b.now // the log can be written to again
	}
	for i := range mine {
		g.coordinator.Appended(&mine[i], appended.BaseOffset+int64(i))
	}
	b.wrote(p, appended.Records)
	b.markGrown(p)
	b.logWork(p)
	if p.log.HighWatermark() <= appended.LastOffset {
		pending.left++
		g.held[partition] = append(g.held[partition], heldReplies{pending, appended.LastOffset})
	}
	return nil
}

// releaseGroups answers what waited for a partition of the offsets topic, as far as its high watermark has come, or
// all of it if it failed.
func (b *Broker) releaseGroups(p *partition, failed bool) {
	g := &b.groups
	if p.topic != g.topic || g.coordinator == nil {
		return
	}
	held := g.held[p.index]
	n := 0
	for ; n < len(held) && (failed || held[n].last < p.log.HighWatermark()); n++ {
		waits := held[n].replies
		waits.failed = waits.failed || failed
		if waits.left--; waits.left > 0 {
			continue
		}
		for i := range waits.replies {
			if waits.failed {
				waits.replies[i].Refuse()
			}
			b.answerGroup(&waits.replies[i])
		}
	}
	rest := copy(held, held[n:])
	clear(held[rest:])
	g.held[p.index] = held[:rest]
}
