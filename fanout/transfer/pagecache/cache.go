package pagecache

import (
	"cmp"
	"fmt"
	"os"
	"time"

	"oneplusn/ring"
	"oneplusn/segment/invariants"
	"oneplusn/segment/mark"
)

// defaultBlockBytes is the unit in which the page cache is counted. The kernel reads ahead into folios of up to a huge page, aligned
// to their size, and advice to drop a part of a folio drops nothing of it (mm/truncate.c, mapping_try_invalidate). So it is
// a huge page of the common architectures.
const defaultBlockBytes = 2 << 20

// File is a segment file as a [Cache] needs it. Files are compared by identity.
type File interface {
	// Fd is the file's descriptor, valid while the file has references.
	Fd() int
	// Retain adds a reference, and Release drops one.
	Retain()
	Release()
	// Held reports whether the reference count is not 0. Otherwise the descriptor is closed.
	Held() bool
	// Size is the length in bytes of what may be read from it at present. It only grows.
	Size() int64
}

// Config sizes a [Cache].
type Config struct {
	// LimitBytes bounds what cold blocks hold of the page cache; 0 turns everything off.
	LimitBytes int64
	// ReadaheadBytes is the distance ahead of a sequential reader up to which more is asked for; 0 leaves that to the kernel.
	ReadaheadBytes int64
	// KernelReadaheadBytes is the kernel's own readahead, so that what it reads is tracked too.
	KernelReadaheadBytes int64
	// BlockBytes is the size of a block, a multiple of the page size; 0 means 2 MiB.
	BlockBytes int64
}

// Cache tracks the cold blocks. It belongs to the loop's thread.
type Cache struct {
	kernel     ring.Kernel
	kind       uint8 // of the tokens of advice
	blockBytes int64
	pageBytes  int64
	limit      int // in blocks; 0 turns everything off
	// ahead is the number of blocks that are asked for ahead, kernelAhead of those that the kernel may read ahead by itself.
	ahead, kernelAhead int64
	blocks             map[block]state
	// order holds the blocks from order[oldest] on, in the order of their eviction.
	order      []block
	oldest     int
	advices    ring.Slots[advice]
	readaheads int // in flight, and the most that may be
	maxAheads  int
	evicting   int // blocks
	nextTrim   time.Duration
	counts     Counts
}

// block is a piece of a file of blockBytes, the first being 0. It holds no reference to the file.
type block struct {
	file  File
	index int64
}

// state is the knowledge of a block.
type state struct {
	end        int64 // where the file ended when the block was first read, or the block's end if that is less
	advised    bool  // it has been asked for ahead
	coming     bool  // and that is in flight
	read       bool  // its first byte has been read
	referenced bool  // it was read once more since it came or was passed over: CLOCK's reference bit
	// evicting: it is being dropped; wanted: and it has been read since that began.
	evicting, wanted bool
}

// Counts describe a [Cache].
type Counts struct {
	// LimitBytes is more than configured where the kernel reads far ahead.
	LimitBytes int64 `json:"limit_bytes" metric:"cold_cache_limit_bytes" help:"Limit of cold_cache_bytes, from --cold-cache; 0 where the page cache is left to the kernel."`
	// HeldBytes includes blocks of which the kernel has evicted pages by itself.
	HeldBytes      int64  `json:"held_bytes" metric:"cold_cache_bytes" help:"Page cache held by cold blocks."`
	ReadaheadBytes uint64 `json:"readahead_bytes" metric:"readahead_bytes_total" help:"Bytes asked for ahead of subscribers that read from disk."`
	DroppedBytes   uint64 `json:"dropped_bytes" metric:"cold_cache_dropped_bytes_total" help:"Bytes dropped from the page cache after subscribers far behind had read them."`
	BusyBytes      uint64 `json:"busy_bytes" metric:"cold_cache_busy_bytes_total" help:"Bytes whose eviction was postponed because they were in use."`
}

// New makes a cache. kind is the token kind of its operations, whose completions go to [Cache.Advised].
func New(kernel ring.Kernel, kind uint8, config Config) *Cache {
	c := &Cache{kernel: kernel, kind: kind, blockBytes: cmp.Or(config.BlockBytes, defaultBlockBytes), pageBytes: int64(os.Getpagesize())}
	if config.LimitBytes > 0 {
		inBlocks := func(bytes int64) int64 { return (bytes + c.blockBytes - 1) / c.blockBytes }
		c.ahead = inBlocks(config.ReadaheadBytes)
		// One window of the kernel's is there, and the next is read when a subscriber comes to it.
		c.kernelAhead = inBlocks(2 * config.KernelReadaheadBytes)
		// Blocks tracked ahead of a subscriber must not evict those that it reads.
		c.limit = int(max(config.LimitBytes/c.blockBytes, 4*max(c.ahead, c.kernelAhead, 1)))
		c.maxAheads = min(maxReadaheads, c.limit/2+1)
		c.blocks = make(map[block]state)
	}
	return c
}

// On reports whether blocks are tracked at all.
func (c *Cache) On() bool { return c.limit > 0 }

// Counts are the counters and sizes.
func (c *Cache) Counts() Counts {
	n := c.counts
	n.LimitBytes, n.HeldBytes = int64(c.limit)*c.blockBytes, int64(len(c.blocks))*c.blockBytes
	return n
}

// NoteRead is called before a range is read; cold says that the read may wait for a disk. It tracks the blocks that the
// range, and the kernel's readahead behind it, will bring into the page cache. It returns the part of the range that lies
// in tracked blocks, to be passed to [Cache.Arrived]; to is 0 for none.
func (c *Cache) NoteRead(f File, pos, n int64, cold bool) (from, to int64) {
	if !c.On() || !cold {
		return 0, 0
	}
	first, last := c.span(pos, n)
	for i := first; i <= last; i++ {
		b := block{f, i}
		begun := pos <= i*c.blockBytes // a sequential reader begins each block once
		s, tracked := c.blocks[b]
		switch {
		case tracked:
			s.wanted = s.evicting
			s.referenced = s.referenced || s.read && begun
			s.read = s.read || begun
			c.blocks[b] = s
		case !c.resident(b):
			c.add(b, state{read: begun})
		default:
			continue
		}
		if to == 0 {
			from = max(pos, i*c.blockBytes)
		}
		to = min(pos+n, (i+1)*c.blockBytes)
	}
	if to > 0 {
		c.lookAhead(f, first, last)
	}
	return from, to
}

// Arrived is called when a range that [Cache.NoteRead] returned has been read. A block that was evicted while the read
// waited for its turn is back, and tracked again.
func (c *Cache) Arrived(f File, pos, n int64) {
	if !c.On() {
		return
	}
	for first, last := c.span(pos, n); first <= last; first++ {
		if b := (block{f, first}); !c.has(b) {
			mark.Hit("a cold block came back after it was evicted")
			c.add(b, state{})
		}
	}
}

// Holds reports whether our own advice may evict any page of a range. What was appended to a block since it came is hot.
func (c *Cache) Holds(f File, pos, n int64) bool {
	if len(c.blocks) == 0 {
		return false
	}
	for first, last := c.span(pos, n); first <= last; first++ {
		if s, tracked := c.blocks[block{f, first}]; tracked && pos < s.end {
			return true
		}
	}
	return false
}

// span is the blocks that a range touches.
func (c *Cache) span(pos, n int64) (first, last int64) {
	if pos < 0 || n < 1 {
		panic(fmt.Sprintf("pagecache: a range has a position and at least one byte, not %d bytes at %d", n, pos))
	}
	return pos / c.blockBytes, (pos + n - 1) / c.blockBytes
}

// resident reports whether all of a block is in the page cache, as far as the file goes.
func (c *Cache) resident(b block) bool {
	pos := b.index * c.blockBytes
	return c.kernel.Resident(b.file.Fd(), pos, c.endOf(b)-pos)
}

func (c *Cache) endOf(b block) int64 { return min((b.index+1)*c.blockBytes, b.file.Size()) }

func (c *Cache) has(b block) bool {
	_, tracked := c.blocks[b]
	return tracked
}

// Close reports advice that is still in flight. Nothing may be asked of the cache afterwards.
func (c *Cache) Close() error {
	if invariants.Enabled {
		c.recount()
	}
	if n := c.advices.Taken(); n > 0 {
		return fmt.Errorf("%d advices are in flight, %d of them readaheads and %d evictions", n, c.readaheads, c.evicting)
	}
	return nil
}
