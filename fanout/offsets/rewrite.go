package offsets

import (
	"strconv"
	"time"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/loop"
	"oneplusn/segment/mark"
)

// The offsets topic stays short because its live records are written again at the end of the log, and the log's head is
// dropped. The loop does that, a few records a turn: the coordinator has them in memory, so nothing is read. Files are
// removed in the background.
const (
	// segmentBytes is small, for only whole segments can be dropped.
	segmentBytes = 4 << 20
	// rewriteFromBytes is the size from which on a log is rewritten.
	rewriteFromBytes = 16 << 20
	// rewriteFactor is how many times its live records a log may be, so that three new bytes cost at most one rewritten byte.
	rewriteFactor = 4
	// rewriteRecords are written in one turn: about 50 us of work.
	rewriteRecords = 128
	// retryAfter is the pause after a failed write.
	retryAfter = 5 * time.Second
	// durableCheck is the pause before the next look at whether rewritten records are durable.
	durableCheck = time.Second
	// maxMembershipBytes bounds the record of one group's membership. A batch of one has to fit a segment.
	maxMembershipBytes = segmentBytes - 64<<10
	// maxBatchMessageBytes bounds a batch, so one record: the membership of one group.
	maxBatchMessageBytes = 64 << 20
)

// Settings are the configuration of the topic: retention removes nothing.
var Settings = map[string]string{
	"max.message.bytes":      strconv.Itoa(maxBatchMessageBytes),
	"message.timestamp.type": "CreateTime",
	"retention.bytes":        "-1",
	"retention.ms":           "-1",
	"segment.bytes":          strconv.Itoa(segmentBytes),
	"segment.ms":             strconv.FormatInt((100 * 365 * 24 * time.Hour).Milliseconds(), 10),
}

// rewrite is the rewriting of one partition.
//
//	idle --log is large--> writing live records below before again --none left--> waiting for end to be durable
//	  ^                                                                                 |
//	  +---------------------------- the head below before is dropped -------------------+
type rewrite struct {
	active    bool
	before    int64 // live records below this offset are written again
	end       int64 // -1 until that is done: then the end of the log, up to which it has to be durable
	next      time.Duration
	written   int64 // bytes of this rewrite
	liveBytes int64 // of the last rewrite
	lost      bool  // a record could not be written
	// Of the step under way: its last record, and the log's size before.
	mark uint64
	size int64
}

// rewrite takes every rewrite one step on.
func (l *Log) rewrite() {
	for i := range l.rewrites {
		w, p := &l.rewrites[i], l.partitions[i]
		switch {
		case p.Offline != nil:
			w.next = loop.Never
		case !w.active && p.Log.SizeBytes() > max(rewriteFromBytes, rewriteFactor*w.liveBytes):
			mark.Hit("the offsets topic was rewritten")
			*w = rewrite{active: true, before: p.Log.LogEndOffset(), end: -1, size: p.Log.SizeBytes(), lost: w.lost}
		case !w.active && (!w.lost || p.Log.Poisoned() != nil):
			w.next = loop.Never
		case l.loop.Now() < w.next:
		case !w.active:
			mark.Hit("lost records of the coordinator were written again")
			// Lost records are written first, so that a restart finds the offsets that clients are told.
			w.lost, w.next = !l.coordinator.Rewrite(p.Index, 0, rewriteRecords), l.loop.Now()
		case w.end < 0:
			l.rewriteSome(w, p)
		default:
			l.dropHead(w, p)
		}
	}
}

func (l *Log) rewriteSome(w *rewrite, p *catalog.Partition) {
	w.next = l.loop.Now()
	if !l.coordinator.Taken(w.mark) {
		return
	}
	w.written += p.Log.SizeBytes() - w.size
	w.size = p.Log.SizeBytes()
	if l.coordinator.Rewrite(p.Index, w.before, 0) {
		w.end = p.Log.LogEndOffset()
		return
	}
	l.coordinator.Rewrite(p.Index, w.before, rewriteRecords)
	w.mark = l.coordinator.Mark()
}

// dropHead drops the log's head, once the rewritten records are as safe as those in it.
func (l *Log) dropHead(w *rewrite, p *catalog.Partition) {
	safe := p.Log.DurableOffset()
	if p.Commit.Policy().Never() {
		safe = p.Log.HighWatermark()
	}
	if safe < w.end {
		w.next = l.loop.Now() + durableCheck
		return
	}
	if err := p.Log.DeleteRecords(w.before); err != nil {
		w.next = l.loop.Now() + retryAfter
		return
	}
	if remove := p.Log.Expire(l.loop.UnixMillis()); remove != nil {
		l.catalog.RemoveFiles([]func() error{remove})
	}
	mark.Hit("the old part of the offsets topic went")
	*w = rewrite{liveBytes: w.written, lost: w.lost}
}
