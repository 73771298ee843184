package pagecache

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"oneplusn/segment/invariants"
	"oneplusn/segment/mark"
)

const (
	// maxSpared bounds how many blocks are passed over in search of one to evict.
	maxSpared = 16
	// maxEvictions bounds how many blocks are evicted for one that comes.
	maxEvictions = 4
	// trimEvery is the time between attempts to evict blocks that could not be evicted when others came.
	trimEvery = 100 * time.Millisecond
)

// add tracks a block that is about to come into the page cache.
func (c *Cache) add(b block, s state) {
	s.end = c.endOf(b)
	if c.ahead > 0 && !c.has(block{b.file, b.index - 1}) {
		// The first of a run. From here on the kernel leaves reading ahead in this file to us.
		c.advise(b, s.end, unix.FADV_RANDOM)
	}
	// More than one, so that blocks which could not be evicted do not add up.
	for n := 0; n < maxEvictions && len(c.blocks)-c.evicting >= c.limit; n++ {
		c.evictOldest()
	}
	c.keep(b, s)
}

// keep puts a block last in order.
func (c *Cache) keep(b block, s state) {
	if c.oldest > 64 && c.oldest > len(c.order)/2 {
		c.order = append(c.order[:0], c.order[c.oldest:]...)
		c.oldest = 0
	}
	c.order = append(c.order, b)
	c.blocks[b] = s
}

// Trim evicts blocks that are still above the limit. It is called once a turn.
func (c *Cache) Trim(now time.Duration) {
	if len(c.blocks)-c.evicting <= c.limit || now < c.nextTrim {
		return
	}
	if invariants.Enabled {
		c.recount()
	}
	c.nextTrim = now + trimEvery
	for n := len(c.blocks) - c.evicting - c.limit; n > 0; n-- {
		c.evictOldest()
	}
}

// evictOldest begins to evict the oldest block whose reference bit is not set. The kernel is asked to drop it, but not what
// was appended to the file since the block came: that is hot.
func (c *Cache) evictOldest() {
	for spared := 0; c.oldest < len(c.order) && spared <= maxSpared+maxReadaheads; spared++ {
		b := c.order[c.oldest]
		c.order[c.oldest] = block{}
		c.oldest++
		s := c.blocks[b]
		switch {
		case !b.file.Held():
			mark.Hit("a cold block was forgotten with its file")
			delete(c.blocks, b)
			return
		case s.coming, s.referenced && spared < maxSpared:
			mark.HitIf(!s.coming, "a cold block that was read again was spared")
			s.referenced = false
			c.keep(b, s)
			continue
		}
		s.evicting = true
		c.evicting++
		c.blocks[b] = s
		c.advise(b, s.end, unix.FADV_DONTNEED)
		return
	}
}

// evicted checks whether a block has gone. Pages that sockets hold stay, and those of a block that has been read since may
// be back: it is kept for another round. Its eviction is not repeated at once, so nothing spins.
func (c *Cache) evicted(a *advice) {
	b, from := a.block, a.block.index*c.blockBytes
	size := uint64(a.end - from)
	droppable := a.end
	if a.end < b.file.Size() { // the kernel keeps a page of which only a part is to go, but at the end of the file
		droppable -= a.end % c.pageBytes
	}
	gone := !a.failed && (droppable <= from || c.kernel.Absent(b.file.Fd(), from, droppable-from))
	s := c.blocks[b]
	if !s.evicting || c.evicting < 1 {
		panic(fmt.Sprintf("pagecache: the eviction of block %d ended, which had not begun; %d are being evicted", b.index, c.evicting))
	}
	c.evicting--
	if gone && !s.wanted {
		mark.Hit("a cold block was evicted")
		delete(c.blocks, b)
		c.counts.DroppedBytes += size
		return
	}
	mark.HitIf(s.wanted, "a cold block was read while it was evicted")
	mark.HitIf(!gone, "a cold block stayed, for its pages are in use")
	c.counts.BusyBytes += size
	c.keep(b, state{end: a.end, read: s.read})
}

// recount walks everything, for builds with the tag invariants.
func (c *Cache) recount() {
	evicting, coming := 0, 0
	for b, s := range c.blocks {
		if s.end <= b.index*c.blockBytes || s.end > (b.index+1)*c.blockBytes {
			panic(fmt.Sprintf("pagecache: block %d of %d bytes ends at %d", b.index, c.blockBytes, s.end))
		}
		if s.evicting {
			evicting++
		}
		if s.coming {
			coming++
		}
	}
	seen := make(map[block]bool)
	for _, b := range c.order[c.oldest:] {
		if seen[b] || !c.has(b) || c.blocks[b].evicting {
			panic(fmt.Sprintf("pagecache: block %d is in order twice, or not tracked, or being evicted", b.index))
		}
		seen[b] = true
	}
	if len(seen)+evicting != len(c.blocks) || evicting != c.evicting || coming != c.readaheads {
		panic(fmt.Sprintf("pagecache: %d blocks, of which %d are in order, %d being evicted (counted: %d) and %d read ahead (counted: %d)",
			len(c.blocks), len(seen), evicting, c.evicting, coming, c.readaheads))
	}
}
