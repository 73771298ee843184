package pagecache

import (
	"fmt"

	"golang.org/x/sys/unix"

	"oneplusn/ring"
)

// willNeedBytes is the most that one advice asks to be read: of more, the kernel reads no more than the device takes
// in one request (mm/readahead.c, force_page_cache_ra), which is this or more on common disks.
const willNeedBytes = 256 << 10

// advice is one in flight, as one or more operations.
type advice struct {
	block  block
	end    int64  // of the block, as the advice has it
	what   uint32 // FADV_*
	left   int    // operations
	failed bool
}

// advise queues advice about a block, in pieces if it is to be read.
func (c *Cache) advise(b block, end int64, what uint32) {
	from := b.index * c.blockBytes
	if from >= end || !b.file.Held() {
		panic(fmt.Sprintf("pagecache: advice about the bytes from %d to %d of a file, held: %v", from, end, b.file.Held()))
	}
	piece := end - from
	if what == unix.FADV_WILLNEED {
		piece = willNeedBytes
	}
	t := c.advices.Take(c.kind, advice{block: b, end: end, what: what, left: int((end - from + piece - 1) / piece)})
	b.file.Retain()
	for at := from; at < end; at += piece {
		c.kernel.Queue(ring.Fadvise(t, b.file.Fd(), at, uint32(min(piece, end-at)), what))
	}
}

// Advised takes the completion of an advice. It reports false for one that is not in flight.
func (c *Cache) Advised(completion ring.Completion) bool {
	a := c.advices.Find(completion.Token)
	if a == nil {
		return false
	}
	a.failed = a.failed || completion.Result < 0
	if a.left--; a.left > 0 {
		return true
	}
	done := c.advices.Free(completion.Token)
	switch done.what {
	case unix.FADV_WILLNEED:
		s := c.blocks[done.block]
		if !s.coming || c.readaheads < 1 {
			panic(fmt.Sprintf("pagecache: the readahead of block %d ended, which had not begun; %d are in flight", done.block.index, c.readaheads))
		}
		c.readaheads--
		s.coming = false
		c.blocks[done.block] = s
	case unix.FADV_DONTNEED:
		c.evicted(&done)
	}
	done.block.file.Release()
	return true
}
