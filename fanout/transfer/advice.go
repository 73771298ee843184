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
	block      coldBlock
	end        int64  // of the block, as the advice has it
	what       uint32 // FADV_*
	left       int    // operations
	failed     bool
	generation uint32 // of the slot
}

// advise queues an advice about a block, in pieces if it is to be read.
func (c *coldCache) advise(b coldBlock, end int64, what uint32) {
	slot := c.slot()
	a := &c.advices[slot]
	*a = advice{block: b, end: end, what: what, generation: a.generation}
	from := b.index * c.blockBytes
	piece := end - from
	if what == unix.FADV_WILLNEED {
		piece = willNeedBytes
	}
	b.source.Retain()
	for at := from; at < end; at += piece {
		a.left++
		t := ring.NewToken(KindAdvice, slot, a.generation)
		c.kernel.Queue(ring.Fadvise(t, b.source.Fd(), at, uint32(min(piece, end-at)), what))
	}
}

// Advised takes the completion of an operation of [KindAdvice].
func (e *Engine) Advised(completion ring.Completion) { e.cold.advised(completion) }

func (c *coldCache) advised(completion ring.Completion) {
	slot := completion.Token.Slot()
	a := &c.advices[slot]
	a.failed = a.failed || completion.Result < 0
	if a.left--; a.left > 0 {
		return
	}
	done := *a
	*a = advice{generation: (done.generation + 1) & ring.MaxGeneration}
	c.free = append(c.free, slot)
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
}

func (c *coldCache) slot() uint32 {
	if n := len(c.free); n > 0 {
		slot := c.free[n-1]
		c.free = c.free[:n-1]
		return slot
	}
	c.advices = append(c.advices, advice{})
	return uint32(len(c.advices) - 1)
}
