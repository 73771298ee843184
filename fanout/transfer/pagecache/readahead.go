package pagecache

import (
	"golang.org/x/sys/unix"

	"oneplusn/segment/mark"
)

// maxReadaheads bounds the blocks that are being read ahead at once, for all subscribers together. A small cache has less.
const maxReadaheads = 64

// sequential reports whether the reader of a block has read the one before, as far as the page cache can tell.
func (c *Cache) sequential(f File, first int64) bool { return first == 0 || c.has(block{f, first - 1}) }

// lookAhead tracks the blocks that the kernel may read ahead of those that are being read, and asks for more if the reader
// is sequential.
func (c *Cache) lookAhead(f File, first, last int64) {
	asked := int64(-1)
	if c.ahead > 0 && c.sequential(f, first) {
		asked = last + c.ahead
	}
	for i := last; i <= max(last+c.kernelAhead, asked) && i*c.blockBytes < f.Size(); i++ {
		b := block{f, i}
		if s, tracked := c.blocks[b]; tracked && (s.advised || i > asked) || c.resident(b) {
			continue
		}
		if !c.has(b) {
			c.add(b, state{})
		}
		if i <= asked && c.readaheads < c.maxAheads {
			c.readAhead(b)
		}
	}
}

// readAhead asks for a block to be read.
func (c *Cache) readAhead(b block) {
	s, tracked := c.blocks[b]
	if !tracked || s.evicting {
		return
	}
	mark.Hit("a block was read ahead of a subscriber")
	s.advised, s.coming = true, true
	c.blocks[b] = s
	c.readaheads++
	c.counts.ReadaheadBytes += uint64(s.end - b.index*c.blockBytes)
	c.advise(b, s.end, unix.FADV_WILLNEED)
}
