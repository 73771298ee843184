package offsets

import (
	"fmt"
	"slices"
	"sync"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/group"
	"oneplusn/segment"
	"oneplusn/segment/mark"
)

// output is the coordinator's output whose records are being written.
type output struct {
	taken   group.Output
	batches int           // that are not written yet
	replies []group.Reply // for when they are
}

// batch is a batch of records on its way to the log.
type batch struct {
	log     *Log
	append  commit.Append
	bytes   []byte
	records []group.Record
}

// spareBatches are reused, except those with large buffers.
var spareBatches = sync.Pool{New: func() any { return new(batch) }}

const spareBytes = 64 << 10

// flush begins to write the coordinator's output, and sends the replies that depend on no record. While an output is in
// flight, it sends only such replies.
func (l *Log) flush() {
	o := &l.inFlight
	if o.batches > 0 {
		if l.coordinator.TakeReplies(&o.taken) {
			mark.Hit("the coordinator answered while its records were written")
			l.replyNow()
		}
		return
	}
	if !l.coordinator.TakeOutput(&o.taken) {
		return
	}
	l.replyNow()
	o.batches++ // so that it does not end before all batches are queued
	l.writeRecords(o.taken.Records)
	clear(o.taken.Records)
	l.batchEnded()
}

// replyNow sends the replies that promise nothing, and stores the others.
func (l *Log) replyNow() {
	o := &l.inFlight
	for i := range o.taken.Replies {
		if r := &o.taken.Replies[i]; r.Durable {
			o.replies = append(o.replies, *r)
		} else {
			l.reply(r.Ticket, r.Response)
		}
	}
	clear(o.taken.Replies)
}

// writeRecords queues records for their partitions, batch by batch: each fits a segment.
func (l *Log) writeRecords(all []group.Record) {
	now, queued := l.loop.UnixMillis(), 0
	for i, p := range l.partitions {
		if p.Offline != nil {
			continue
		}
		mine := all
		if len(l.partitions) > 1 {
			mine = slices.DeleteFunc(slices.Clone(all), func(r group.Record) bool { return r.Partition != int32(i) })
		}
		for queued += len(mine); len(mine) > 0; {
			mine = mine[l.writeBatch(p, mine, now):]
		}
	}
	if queued != len(all) {
		panic(fmt.Sprintf("offsets: %d of %d records belong to partitions that are offline", len(all)-queued, len(all)))
	}
}

// writeBatch queues the first of some records as one batch, and says how many they are.
func (l *Log) writeBatch(p *catalog.Partition, list []group.Record, nowMillis int64) (n int) {
	b := spareBatches.Get().(*batch)
	b.log = l
	b.bytes, n = group.AppendBatch(b.bytes[:0], list, nowMillis)
	b.records = append(b.records[:0], list[:n]...)
	l.inFlight.batches++
	checked, err := p.Log.Check(b.bytes)
	if err != nil {
		b.Appended(&p.Commit, segment.Appended{}, err)
		return n
	}
	b.append = commit.Append{Batches: b.bytes, Checked: checked, Owner: b}
	l.committer.Append(&p.Commit, &b.append)
	return n
}

// Appended implements [commit.AppendOwner]: the batch was written, or its write failed.
func (b *batch) Appended(p *commit.Partition, appended segment.Appended, err error) {
	l := b.log
	w := &l.rewrites[p.Index]
	if err != nil {
		l.lost(p, w, b.records, err)
	} else {
		for i := range b.records {
			l.coordinator.Appended(&b.records[i], appended.BaseOffset+int64(i))
		}
		if w.lost {
			mark.Hit("the offsets topic took writes again after one had failed")
			w.next = l.loop.Now() // the log takes writes again
		}
	}
	clear(b.records)
	if cap(b.bytes) <= spareBytes {
		spareBatches.Put(b)
	}
	l.batchEnded()
}

// lost leaves records whose write failed to the rewrite. The batches behind them are refused too, so that the log keeps the order
// of commits.
func (l *Log) lost(p *commit.Partition, w *rewrite, list []group.Record, err error) {
	for i := range list {
		l.coordinator.Lost(&list[i])
	}
	w.lost, w.next = true, l.loop.Now()+retryAfter
	if l.failures.Allow(l.loop.Now()) {
		l.loop.Log.Error("committed offsets could not be written, clients try again", "partition", p.Index, "error", err,
			"remedy", commit.StorageRemedy(err))
	}
	l.committer.RefuseQueued(p, err)
}

// batchEnded sends the replies after the last batch of an output, or lets them wait for the high watermark of every partition
// with records that are not committed: a request's records may have come in several outputs.
func (l *Log) batchEnded() {
	o := &l.inFlight
	if o.batches--; o.batches < 0 {
		panic("offsets: more batches of an output ended than began")
	}
	if o.batches > 0 || len(o.replies) == 0 {
		return
	}
	p := l.newPromise()
	for i := range o.replies {
		r := &o.replies[i]
		switch {
		case l.coordinator.WasLost(r):
			mark.Hit("a commit was refused because its record could not be written")
			r.Refuse()
		case p.left > 0:
			p.replies = append(p.replies, *r)
			continue
		}
		l.reply(r.Ticket, r.Response)
	}
	clear(o.replies)
	o.replies = o.replies[:0]
}

// promise is replies that wait until everything written so far is committed.
type promise struct {
	log     *Log
	replies []group.Reply
	left    int // partitions
	failed  bool
}

// newPromise waits for every partition with records that are not committed.
func (l *Log) newPromise() *promise {
	promised := &promise{log: l}
	for _, p := range l.partitions {
		if p.Offline != nil {
			continue
		}
		if last := p.Log.LogEndOffset() - 1; p.Log.HighWatermark() <= last && p.Log.Poisoned() == nil {
			mark.Hit("a commit waited for the high watermark of the offsets topic")
			promised.left++
			l.committer.Await(&p.Commit, &commit.Waiter{Owner: promised}, last)
		}
	}
	return promised
}

// Committed implements [commit.WaitOwner]: a partition's records are committed, or never will be.
func (p *promise) Committed(err error) {
	p.failed = p.failed || err != nil
	if p.left--; p.left < 0 {
		panic("offsets: a promise was kept more often than it was made")
	}
	if p.left > 0 {
		return
	}
	for i := range p.replies {
		if p.failed {
			mark.Hit("a commit was refused because its sync failed")
			p.replies[i].Refuse()
		}
		p.log.reply(p.replies[i].Ticket, p.replies[i].Response)
	}
}
