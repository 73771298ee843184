package transfer

import "golang.org/x/sys/unix"

// maxReadaheads bounds the blocks that are being read ahead at once, for all subscribers together. A small cold cache has
// less.
const maxReadaheads = 64

// sequential says that whoever reads a block has read the one before, as far as the page cache can tell.
func (c *coldCache) sequential(s Source, first int64) bool {
	_, ok := c.blocks[coldBlock{s, first - 1}]
	return ok || first == 0
}

// lookAhead takes note of the blocks that the kernel may read ahead of those that are being read, and asks for what is to
// be read ahead, if whoever reads seems to read on.
func (c *coldCache) lookAhead(s Source, first, last int64) {
	asked := int64(-1)
	if c.ahead > 0 && c.sequential(s, first) {
		asked = last + c.ahead
	}
	for i := last; i <= max(last+c.kernelAhead, asked) && i*c.blockBytes < s.Size(); i++ {
		b := coldBlock{s, i}
		if state, known := c.blocks[b]; known && (state.advised || i > asked) || c.resident(b) {
			continue
		}
		if !c.has(b) {
			c.add(b, coldState{})
		}
		if i <= asked && c.readaheads < c.maxAheads {
			c.ask(b)
		}
	}
}

// ask asks for a block to be read.
func (c *coldCache) ask(b coldBlock) {
	state, known := c.blocks[b]
	if !known || state.leaving {
		return
	}
	state.advised, state.coming = true, true
	c.blocks[b] = state
	c.readaheads++
	c.counts.ReadaheadBytes += uint64(state.end - b.index*c.blockBytes)
	c.advise(b, state.end, unix.FADV_WILLNEED)
}
