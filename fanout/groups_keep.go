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
// kept as --fsync says. It reports false if a record could not be appended.
func (b *Broker) flushGroups() (kept bool) {
	g := &b.groups
	if !g.coordinator.TakeOutput(&g.out) {
		return true
	}
	pending, kept := b.keepRecords(g.out.Records)
	for i := range g.out.Replies {
		r := &g.out.Replies[i]
		switch {
		case !r.Durable:
		case g.coordinator.WasLost(r):
			r.Refuse()
		case pending.left > 0:
			pending.replies = append(pending.replies, *r)
			continue
		}
		b.answerGroup(r)
	}
	clear(g.out.Replies)
	clear(g.out.Records)
	return kept
}

func (b *Broker) answerGroup(r *group.Reply) {
	if c := b.again(slotOf(r.Ticket)); c != nil {
		b.reply(c, r.Response)
	}
}

// keepRecords appends records to the logs of their partitions. The replies that depend on them wait in pending for all
// partitions that have something to be synced: a request's records may have come in several turns.
func (b *Broker) keepRecords(records []group.Record) (pending *pendingReplies, kept bool) {
	pending, kept = new(pendingReplies), true
	for i, p := range b.groups.topic.partitions {
		if p.refused != nil {
			continue // it has no groups, so none of the records is its own
		}
		if !b.keepIn(int32(i), records) {
			kept = false
		}
		if last := p.log.LogEndOffset() - 1; p.log.HighWatermark() <= last && p.log.Poisoned() == nil {
			pending.left++
			b.groups.held[i] = append(b.groups.held[i], heldReplies{pending, last})
		}
	}
	return pending, kept
}

// keepIn appends the records of one partition, batch by batch: each fits a segment. After one that fails the rest is not
// tried, so that what is in the log is what was committed first.
func (b *Broker) keepIn(partition int32, records []group.Record) bool {
	g := &b.groups
	mine := records
	if len(g.topic.partitions) > 1 {
		mine = nil
		for i := range records {
			if records[i].Partition == partition {
				mine = append(mine, records[i])
			}
		}
	}
	for len(mine) > 0 {
		n := b.keepBatch(g.topic.partitions[partition], mine)
		if n == 0 {
			for i := range mine {
				g.coordinator.Lost(&mine[i])
			}
			return false
		}
		mine = mine[n:]
	}
	return true
}

// keepBatch appends the first of some records as a batch. It reports how many they are, 0 if the log did not take them.
func (b *Broker) keepBatch(p *partition, records []group.Record) (n int) {
	g, now := &b.groups, b.wallMillis()
	g.batch, n = group.AppendBatch(g.batch[:0], records, now)
	appended, err := p.log.Append(g.batch, now)
	w := &g.rewrites[p.index]
	if err != nil {
		w.lost, w.next = true, b.now+rewriteRetry
		if g.log.allow(b.now) {
			b.log.Error("committed offsets could not be written, clients try again", "partition", p.index, "error", err,
				"remedy", storageRemedy(err))
		}
		return 0
	}
	if w.lost {
		w.next = b.now // the log can be written to again
	}
	for i := range records[:n] {
		g.coordinator.Appended(&records[i], appended.BaseOffset+int64(i))
	}
	b.wrote(p, appended.Records)
	b.markGrown(p)
	b.logWork(p)
	return n
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
