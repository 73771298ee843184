package commit

import (
	"time"

	"oneplusn/segment"
)

// A write to the page cache takes about a microsecond; handing it to another thread and back takes twenty or more, which
// would up to double the latency of an idle producer. So a small write runs on the loop's thread where it almost never
// blocks: on a local file system, to a log whose writes were fast, while no sync in flight may hold the journal. If one
// blocks all the same (too many dirty pages), no write of any log runs on the loop until the backoff has passed.
const (
	// inlineBytes is the most that is written on the loop's thread in one turn.
	inlineBytes = 64 << 10
	// inlineAfter is how many consecutive writes of a log, off the loop, must have been fast.
	inlineAfter = 8
	// fastWrite is the longest time of a fast write.
	fastWrite = 2 * time.Millisecond
	// stuckWrite is the time of a write off the loop that shows a slow disk rather than a process that waits for a
	// processor.
	stuckWrite = 50 * time.Millisecond

	firstInlineBackoff = time.Minute
	maxInlineBackoff   = time.Hour
)

// inlineWrites says whether a write may run on the loop's thread.
type inlineWrites struct {
	allowed bool
	from    time.Duration // not before this time
	backoff time.Duration // the last one
	bytes   int64         // written on the loop in this turn
}

// takes says whether a write may run on the loop's thread now.
func (w *inlineWrites) takes(p *Partition, write *segment.Write, now time.Duration) bool {
	return w.allowed && now >= w.from && w.bytes+write.Bytes() <= inlineBytes && write.Plain() && p.queue.fast >= inlineAfter
}

// stuck ends inline writes for a while, longer each time: at most once in a backoff do clients wait for a disk that they do
// not need.
func (w *inlineWrites) stuck(now time.Duration) {
	if now-w.from > 2*maxInlineBackoff {
		w.backoff = 0
	}
	w.backoff = min(max(2*w.backoff, firstInlineBackoff), maxInlineBackoff)
	w.from = now + w.backoff
}

// ran notes how long a write off the loop took.
func (q *appendQueue) ran(took time.Duration) {
	if took > fastWrite {
		q.fast = 0
		return
	}
	q.fast = min(q.fast+1, inlineAfter)
}

// writeInline runs a partition's write on the loop's thread.
func (c *Committer) writeInline(p *Partition) {
	c.stats.InlineWrites++
	c.inline.bytes += p.queue.write.Bytes()
	before, began := c.loop.Waits(), c.loop.Kernel.Now()
	p.queue.write.RunInline()
	took := c.loop.Kernel.Now() - began
	// A thread that was only preempted did not wait for the disk.
	if took > fastWrite && c.loop.Waits() != before {
		p.queue.fast = 0
		c.slowWrite(p, took)
	}
	c.endWrite(p)
}

// slowWrite logs that writes block on the disk, and ends inline writes.
func (c *Committer) slowWrite(p *Partition, took time.Duration) {
	if !c.inline.allowed || c.loop.Now() < c.inline.from {
		return // it is known
	}
	c.inline.stuck(c.loop.Now())
	c.loop.Log.Warn("a write blocked on the disk: for a while all writes go to other threads, which takes some microseconds more",
		"topic", p.Topic, "partition", p.Index, "took", took, "for", c.inline.backoff,
		"remedy", "a faster disk, or less dirty memory for the kernel (vm.dirty_background_bytes)")
}
