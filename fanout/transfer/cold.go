package transfer

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"oneplusn/ring"
)

const (
	// coldBlockBytes is what the page cache is counted in. The kernel reads ahead into folios of up to a huge page, aligned
	// to their size, and an advice to drop a part of a folio drops nothing of it (mm/truncate.c, mapping_try_invalidate).
	// So it is a huge page of the common architectures.
	coldBlockBytes = 2 << 20
	// maxSpared bounds how many blocks are passed over in search of one to drop.
	maxSpared = 16
	// maxDrops bounds how many blocks one that comes makes to be dropped.
	maxDrops = 4
	// trimEvery is how often blocks are dropped that could not be when others came.
	trimEvery = 100 * time.Millisecond
)

// coldCache keeps subscribers that read what nobody else does from filling the page cache: what the newest records'
// readers need would be thrown out, and each of them would have to wait for the disk.
//
// It knows the blocks of files that were not in the page cache when a subscriber came to them. While they are fewer than
// its limit they stay, so that others who follow find them. Above it, the oldest is dropped (POSIX_FADV_DONTNEED), but
// those that were read again since are passed over once. Blocks that were in the page cache when they were first read are
// not its concern: they are hot, and the kernel's.
//
// What the kernel reads ahead of a subscriber by itself is counted with what the subscriber reads. It reads ahead little
// (128 KiB beyond a request, by default), which is enough where the disk answers at once. For disks that let each request
// wait for milliseconds it can be asked for more (POSIX_FADV_WILLNEED), at the price of more work for each page.
//
// All advices that may wait for a disk are operations of the ring, and its workers run them.
type coldCache struct {
	kernel     ring.Kernel
	blockBytes int64
	pageBytes  int64
	limit      int // in blocks; 0 turns everything off
	// ahead is how many blocks are asked for ahead, kernelAhead how many the kernel may read ahead by itself.
	ahead, kernelAhead int64
	blocks             map[coldBlock]coldState
	// order holds the blocks from order[head] on, the oldest first.
	order      []coldBlock
	head       int
	advices    ring.Slots[advice]
	readaheads int // in flight, and the most that may be
	maxAheads  int
	leaving    int // blocks that are being dropped
	nextTrim   time.Duration
	counts     ColdCounts
}

// coldBlock is a piece of a file of blockBytes, the first being 0. It does not hold the source.
type coldBlock struct {
	source Source
	index  int64
}

// coldState is what is known of a block.
type coldState struct {
	end     int64 // where the file ended when the block was first read, or the block's end if that is less
	advised bool  // it has been asked for ahead
	coming  bool  // and that is under way
	read    bool  // its first byte has been read
	again   bool  // so it was once more, since the block came or was passed over
	// leaving says that it is being dropped, and wanted that it has been read since that began.
	leaving, wanted bool
}

// ColdCounts describe the cold cache.
type ColdCounts struct {
	// LimitBytes is its bound, which is more than ColdCacheBytes where the kernel reads far ahead; 0 where it is off.
	// HeldBytes counts whole blocks, also those of which the kernel has dropped pages by itself.
	LimitBytes, HeldBytes int64
	// ReadaheadBytes were asked for ahead, DroppedBytes dropped, since the start.
	ReadaheadBytes, DroppedBytes uint64
	// BusyBytes could not be dropped whole when their time came, and were kept for another round.
	BusyBytes uint64
}

func newColdCache(kernel ring.Kernel, config Config) coldCache {
	c := coldCache{kernel: kernel, blockBytes: coldBlockBytes, pageBytes: int64(os.Getpagesize())}
	if config.ColdCacheBytes > 0 && config.Mode != Sendfile {
		blocks := func(bytes int64) int64 { return (bytes + coldBlockBytes - 1) / coldBlockBytes }
		c.ahead = blocks(config.ReadaheadBytes)
		// One window of the kernel's is there, and the next is read when a subscriber comes to it.
		c.kernelAhead = blocks(2 * config.KernelReadaheadBytes)
		// What is noted ahead of one subscriber must not push out what it reads.
		c.limit = int(max(config.ColdCacheBytes/coldBlockBytes, 4*max(c.ahead, c.kernelAhead, 1)))
		c.maxAheads = min(maxReadaheads, c.limit/2+1)
		c.blocks = make(map[coldBlock]coldState)
	}
	return c
}

func (c *coldCache) on() bool { return c.limit > 0 }

// Cold is the state of the cold cache.
func (e *Engine) Cold() ColdCounts {
	c := &e.cold
	n := c.counts
	n.LimitBytes, n.HeldBytes = int64(c.limit)*c.blockBytes, int64(len(c.blocks))*c.blockBytes
	return n
}

// reading is told of a range that is about to be read, and whether that may mean to wait for a disk. What the range, and
// what is read ahead of it, will bring into the page cache is taken note of before it is read: afterwards it would look
// like what had been there all the time. It says which part of the range is the cold cache's concern; to is 0 for none.
func (c *coldCache) reading(s Source, pos, n int64, cold bool) (from, to int64) {
	if !c.on() || !cold {
		return 0, 0
	}
	first, last := pos/c.blockBytes, (pos+n-1)/c.blockBytes
	for i := first; i <= last; i++ {
		b := coldBlock{s, i}
		begun := pos <= i*c.blockBytes // who reads on does so once
		state, known := c.blocks[b]
		switch {
		case known:
			state.wanted = state.leaving
			state.again = state.again || state.read && begun
			state.read = state.read || begun
			c.blocks[b] = state
		case !c.resident(b):
			c.add(b, coldState{read: begun})
		default:
			continue
		}
		if to == 0 {
			from = max(pos, i*c.blockBytes)
		}
		to = min(pos+n, (i+1)*c.blockBytes)
	}
	if to > 0 {
		c.lookAhead(s, first, last)
	}
	return from, to
}

// resident says whether all of a block is in the page cache, as far as the file goes.
func (c *coldCache) resident(b coldBlock) bool {
	pos := b.index * c.blockBytes
	return c.kernel.Resident(b.source.Fd(), pos, c.endOf(b)-pos)
}

func (c *coldCache) endOf(b coldBlock) int64 {
	return min((b.index+1)*c.blockBytes, b.source.Size())
}

// add takes note of a block that is about to come into the page cache.
func (c *coldCache) add(b coldBlock, state coldState) {
	state.end = c.endOf(b)
	if c.ahead > 0 && !c.has(coldBlock{b.source, b.index - 1}) {
		// The first of a run. From here on the kernel leaves reading ahead in this file to us.
		c.advise(b, state.end, unix.FADV_RANDOM)
	}
	// More than one, so that blocks which could not be dropped do not add up.
	for drops := 0; drops < maxDrops && len(c.blocks)-c.leaving >= c.limit; drops++ {
		c.dropOldest()
	}
	c.keep(b, state)
}

// arrived is told what was read from a disk. A block that was dropped while the read waited for its turn is back.
func (c *coldCache) arrived(s Source, pos, n int64) {
	for i := pos / c.blockBytes; i <= (pos+n-1)/c.blockBytes && c.on(); i++ {
		if b := (coldBlock{s, i}); !c.has(b) {
			c.add(b, coldState{})
		}
	}
}

// holds says whether an advice of ours may drop any page of a range. What was appended to a block since it came is hot.
func (c *coldCache) holds(s Source, pos, n int64) bool {
	if len(c.blocks) == 0 {
		return false
	}
	for i := pos / c.blockBytes; i <= (pos+n-1)/c.blockBytes; i++ {
		if state, ok := c.blocks[coldBlock{s, i}]; ok && pos < state.end {
			return true
		}
	}
	return false
}

func (c *coldCache) has(b coldBlock) bool {
	_, ok := c.blocks[b]
	return ok
}

// keep puts a block last in order.
func (c *coldCache) keep(b coldBlock, state coldState) {
	if c.head > 64 && c.head > len(c.order)/2 {
		c.order = append(c.order[:0], c.order[c.head:]...)
		c.head = 0
	}
	c.order = append(c.order, b)
	c.blocks[b] = state
}

// trim drops what is above the limit still.
func (c *coldCache) trim(now time.Duration) {
	if len(c.blocks)-c.leaving <= c.limit || now < c.nextTrim {
		return
	}
	c.nextTrim = now + trimEvery
	for drops := len(c.blocks) - c.leaving - c.limit; drops > 0; drops-- {
		c.dropOldest()
	}
}

// dropOldest begins to drop the oldest block that was not read again since its last turn. The kernel is asked to forget
// it, but not what was appended to the file since the block came: that is hot.
func (c *coldCache) dropOldest() {
	for spared := 0; c.head < len(c.order) && spared <= maxSpared+maxReadaheads; spared++ {
		b := c.order[c.head]
		c.order[c.head] = coldBlock{}
		c.head++
		state := c.blocks[b]
		switch {
		case !b.source.Held():
			delete(c.blocks, b)
			return
		case state.coming, state.again && spared < maxSpared:
			state.again = false
			c.keep(b, state)
			continue
		}
		state.leaving = true
		c.leaving++
		c.blocks[b] = state
		c.advise(b, state.end, unix.FADV_DONTNEED)
		return
	}
}

// dropped sees whether a block has gone. Pages that sockets hold stay, and those of a block that somebody has come to
// meanwhile may be back: it is kept for another round. It is not dropped at once again, so nothing spins.
func (c *coldCache) dropped(a *advice) {
	b, from := a.block, a.block.index*c.blockBytes
	size := uint64(a.end - from)
	droppable := a.end
	if a.end < b.source.Size() { // the kernel keeps a page of which only a part is to go, but at the end of the file
		droppable -= a.end % c.pageBytes
	}
	gone := !a.failed && (droppable <= from || c.kernel.Absent(b.source.Fd(), from, droppable-from))
	state := c.blocks[b]
	c.leaving--
	if gone && !state.wanted {
		delete(c.blocks, b)
		c.counts.DroppedBytes += size
		return
	}
	c.counts.BusyBytes += size
	c.keep(b, coldState{end: a.end, read: state.read})
}
