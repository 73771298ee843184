package transfer

import (
	"golang.org/x/sys/unix"

	"oneplusn/ring"
)

// willNeedBytes is the most that one advice asks to be read: of more, the kernel reads no more than the device takes
// in one request (mm/readahead.c, force_page_cache_ra), which is this or more on common disks.
const willNeedBytes = 256 << 10

// advice is one in flight, as one or more operations.
type advice struct {
	block  coldBlock
	end    int64  // of the block, as the advice has it
	what   uint32 // FADV_*
	left   int    // operations
	failed bool
}

// advise queues an advice about a block, in pieces if it is to be read.
func (c *coldCache) advise(b coldBlock, end int64, what uint32) {
	from := b.index * c.blockBytes
	piece := end - from
	if what == unix.FADV_WILLNEED {
		piece = willNeedBytes
	}
	t := c.advices.Take(KindAdvice, advice{block: b, end: end, what: what, left: int((end - from + piece - 1) / piece)})
	b.source.Retain()
	for at := from; at < end; at += piece {
		c.kernel.Queue(ring.Fadvise(t, b.source.Fd(), at, uint32(min(piece, end-at)), what))
	}
}

// Advised takes the completion of an operation of [KindAdvice]. It reports false for one that no advice is known of.
func (e *Engine) Advised(completion ring.Completion) bool { return e.cold.advised(completion) }

func (c *coldCache) advised(completion ring.Completion) bool {
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
		c.readaheads--
		state := c.blocks[done.block]
		state.coming = false
		c.blocks[done.block] = state
	case unix.FADV_DONTNEED:
		c.dropped(&done)
	}
	done.block.source.Release()
	return true
}
