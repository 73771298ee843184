package fanout

import (
	"oneplusn/fanout/commit"
	"oneplusn/fanout/group"
	"oneplusn/segment"
)

// pendingReplies are durable replies. They wait for every partition that their turn wrote to.
type pendingReplies struct {
	broker  *Broker
	replies []group.Reply
	left    int
	failed  bool
}

// keeping is the coordinator's output whose records are being written. There is one at a time: what comes meanwhile
// gathers in the coordinator, and is written together. Replies that depend on no record do not wait for it.
type keeping struct {
	batches int // still to be written
	replies []group.Reply
	spare   []*keptBatch
}

// keptBatch is a batch of records on its way to the log.
type keptBatch struct {
	broker  *Broker
	append  commit.Append
	bytes   []byte
	records []group.Record
}

// flushGroups queues the records of a turn for their logs, and answers its requests: those that promise something when
// it is kept as --fsync says.
func (b *Broker) flushGroups() {
	g := &b.groups
	if g.keeping.batches > 0 {
		if g.coordinator.TakeReplies(&g.out) {
			b.answerFree()
		}
		return
	}
	if !g.coordinator.TakeOutput(&g.out) {
		return
	}
	b.answerFree()
	g.keeping.batches++ // so that it does not end before all are queued
	b.keepRecords(g.out.Records)
	clear(g.out.Records)
	b.keptBatch()
}

// answerFree answers the requests of an output that promise nothing, and puts the other replies by.
func (b *Broker) answerFree() {
	g := &b.groups
	for i := range g.out.Replies {
		if r := &g.out.Replies[i]; r.Durable {
			g.keeping.replies = append(g.keeping.replies, *r)
		} else {
			b.answerGroup(r)
		}
	}
	clear(g.out.Replies)
}

func (b *Broker) answerGroup(r *group.Reply) {
	if c := b.stillOpen(slotOf(r.Ticket)); c != nil {
		b.reply(c, r.Response)
	}
}

// keepRecords queues records for their partitions, batch by batch: each fits a segment.
func (b *Broker) keepRecords(records []group.Record) {
	now := b.loop.UnixMillis()
	for i, p := range b.groups.topic.partitions {
		if p.refused != nil {
			continue // it has no groups, so none of the records is its own
		}
		mine := records
		if len(b.groups.topic.partitions) > 1 {
			mine = nil
			for j := range records {
				if records[j].Partition == int32(i) {
					mine = append(mine, records[j])
				}
			}
		}
		for len(mine) > 0 {
			mine = mine[b.keepBatch(p, mine, now):]
		}
	}
}

// keepBatch queues the first of some records as a batch, and says how many they are.
func (b *Broker) keepBatch(p *partition, records []group.Record, now int64) (n int) {
	k := b.groups.keeping.take()
	k.broker = b
	k.bytes, n = group.AppendBatch(k.bytes[:0], records, now)
	k.records = append(k.records[:0], records[:n]...)
	b.groups.keeping.batches++
	checked, err := p.log.Check(k.bytes)
	if err != nil {
		k.Appended(&p.commit, segment.Appended{}, err)
		return n
	}
	k.append = commit.Append{Batches: k.bytes, Checked: checked, Owner: k}
	b.committer.Append(&p.commit, &k.append)
	return n
}

// Appended implements [commit.AppendOwner]: a batch of records was written, or not.
func (k *keptBatch) Appended(p *commit.Partition, appended segment.Appended, err error) {
	b := k.broker
	g := &b.groups
	w := &g.rewrites[p.Index]
	if err != nil {
		b.notKept(p, w, k.records, err)
	} else {
		for i := range k.records {
			g.coordinator.Appended(&k.records[i], appended.BaseOffset+int64(i))
		}
		if w.lost {
			w.next = b.loop.Now() // the log can be written to again
		}
	}
	g.keeping.give(k)
	b.keptBatch()
}

// notKept notes that records could not be written: they will be, when the disk writes again. What waits behind them is
// not tried, so that what is in the log is what was committed first.
func (b *Broker) notKept(p *commit.Partition, w *rewrite, records []group.Record, err error) {
	g := &b.groups
	for i := range records {
		g.coordinator.Lost(&records[i])
	}
	w.lost, w.next = true, b.loop.Now()+rewriteRetry
	if g.log.Allow(b.loop.Now()) {
		b.loop.Log.Error("committed offsets could not be written, clients try again", "partition", p.Index, "error", err,
			"remedy", commit.StorageRemedy(err))
	}
	b.committer.RefuseQueued(p, err)
}

// keptBatch notes that a batch was written or not. After the last one the replies are sent, or wait for all partitions
// that have something to be synced: a request's records may have come in several outputs.
func (b *Broker) keptBatch() {
	g := &b.groups
	if g.keeping.batches--; g.keeping.batches > 0 || len(g.keeping.replies) == 0 {
		return
	}
	pending := &pendingReplies{broker: b}
	for _, p := range g.topic.partitions {
		if p.refused != nil {
			continue
		}
		if last := p.log.LogEndOffset() - 1; p.log.HighWatermark() <= last && p.log.Poisoned() == nil {
			pending.left++
			b.committer.Await(&p.commit, &commit.Waiter{Owner: pending}, last)
		}
	}
	for i := range g.keeping.replies {
		r := &g.keeping.replies[i]
		switch {
		case g.coordinator.WasLost(r):
			r.Refuse()
		case pending.left > 0:
			pending.replies = append(pending.replies, *r)
			continue
		}
		b.answerGroup(r)
	}
	clear(g.keeping.replies)
	g.keeping.replies = g.keeping.replies[:0]
}

// keptBatchBytes is the largest buffer that is kept for a later batch.
const keptBatchBytes = 64 << 10

func (k *keeping) take() *keptBatch {
	if n := len(k.spare); n > 0 {
		batch := k.spare[n-1]
		k.spare = k.spare[:n-1]
		return batch
	}
	return new(keptBatch)
}

func (k *keeping) give(batch *keptBatch) {
	clear(batch.records)
	if cap(batch.bytes) <= keptBatchBytes && len(k.spare) == 0 {
		k.spare = append(k.spare, batch)
	}
}

// Committed implements [commit.WaitOwner]: a partition has what the replies wait for on disk, or will not have it.
func (r *pendingReplies) Committed(err error) {
	r.failed = r.failed || err != nil
	if r.left--; r.left > 0 {
		return
	}
	for i := range r.replies {
		if r.failed {
			r.replies[i].Refuse()
		}
		r.broker.answerGroup(&r.replies[i])
	}
}
