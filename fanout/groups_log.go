package fanout

import (
	"strconv"
	"time"
)

// The offsets topic is kept small by writing what still counts again at the end of its log, and dropping the log's
// head. That is done on the loop, a few records a turn: they are made from what the coordinator has in memory, so
// nothing is read, and an append is what the loop does for every publisher. The files go in the background.
const (
	// offsetsSegmentBytes is small, for only whole segments can be dropped.
	offsetsSegmentBytes = 4 << 20
	// rewriteFromBytes is the size of a log below which it is left alone.
	rewriteFromBytes = 16 << 20
	// rewriteFactor is how many times what counts a log may be, so that a record is written again at most once for
	// every so many that were new.
	rewriteFactor = 4
	// rewriteRecords are written in one turn: about 50 us of work.
	rewriteRecords = 128
	// rewriteRetry is how long a rewrite that could not write waits.
	rewriteRetry = 5 * time.Second
	// maxMembershipBytes bounds the record of one group's membership. A batch of one has to fit a segment.
	maxMembershipBytes = offsetsSegmentBytes - 64<<10
	// offsetsBatchBytes bounds a batch, so one record: the membership of one group.
	offsetsBatchBytes = 64 << 20
)

// rewrite is a log of the offsets topic on its way to being short again.
type rewrite struct {
	active   bool
	before   int64 // what lies before this offset is written again
	end      int64 // when that has been done: the offset up to which it has to be kept
	next     time.Duration
	written  int64 // bytes that have been written again
	keptSize int64 // what counted, the last time: not what was committed while it was written again
	lost     bool  // a record could not be written when it came
	// Of the step under way: its last record, and the log's size before.
	mark uint64
	size int64
}

// offsetsSettings are the offsets topic's configuration: nothing goes by age or size.
var offsetsSettings = map[string]string{
	"max.message.bytes":      strconv.Itoa(offsetsBatchBytes),
	"message.timestamp.type": "CreateTime",
	"retention.bytes":        "-1",
	"retention.ms":           "-1",
	"segment.bytes":          strconv.Itoa(offsetsSegmentBytes),
	"segment.ms":             decimal((100 * 365 * 24 * time.Hour).Milliseconds()),
}

// rewriteOffsets takes every rewrite one step on.
func (b *Broker) rewriteOffsets() {
	g := &b.groups
	for i := range g.rewrites {
		w, p := &g.rewrites[i], g.topic.partitions[i]
		switch {
		case p.refused != nil:
			w.next = noDeadline
		case !w.active && p.log.SizeBytes() > max(rewriteFromBytes, rewriteFactor*w.keptSize):
			*w = rewrite{active: true, before: p.log.LogEndOffset(), end: -1, size: p.log.SizeBytes(), lost: w.lost}
		case !w.active && (!w.lost || p.log.Poisoned() != nil):
			w.next = noDeadline
		case b.loop.Now() < w.next:
		case !w.active:
			b.rewriteLost(w, p)
		case w.end < 0:
			b.rewriteSome(w, p)
		default:
			b.dropRewritten(w, p)
		}
	}
}

func (b *Broker) rewriteSome(w *rewrite, p *partition) {
	g := &b.groups
	w.next = b.loop.Now()
	if !g.coordinator.Taken(w.mark) {
		return
	}
	w.written += p.log.SizeBytes() - w.size
	w.size = p.log.SizeBytes()
	if g.coordinator.Rewrite(p.index, w.before, 0) {
		w.end = p.log.LogEndOffset()
		return
	}
	g.coordinator.Rewrite(p.index, w.before, rewriteRecords)
	w.mark = g.coordinator.Mark()
}

// rewriteLost writes what could not be written when it came, so that a restart finds what groups are told until then.
func (b *Broker) rewriteLost(w *rewrite, p *partition) {
	g := &b.groups
	done := g.coordinator.Rewrite(p.index, 0, rewriteRecords)
	w.lost, w.next = !done, b.loop.Now()
}

// dropRewritten drops the log's head, once what replaces it is as safe as it was.
func (b *Broker) dropRewritten(w *rewrite, p *partition) {
	safe := p.log.DurableOffset()
	if p.commit.Policy().Never() {
		safe = p.log.HighWatermark()
	}
	if safe < w.end {
		w.next = b.loop.Now() + sweepEvery
		return
	}
	if err := p.log.DeleteRecords(w.before); err != nil {
		w.next = b.loop.Now() + rewriteRetry
		return
	}
	if remove := p.log.Expire(b.loop.UnixMillis()); remove != nil {
		b.topics.removeFiles([]func() error{remove})
	}
	*w = rewrite{keptSize: w.written, lost: w.lost}
}
