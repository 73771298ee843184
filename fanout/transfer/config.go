package transfer

import (
	"fmt"
	"math"

	"oneplusn/fanout/transfer/pagecache"
)

// Config sizes an [Engine].
type Config struct {
	Mode Mode
	// PipeBytes is the capacity asked for each pipe; MaxPipes bounds how many are open.
	PipeBytes, MaxPipes int
	// ChunkBytes is the most that one operation moves. It bounds how long one flow holds a worker or the loop.
	ChunkBytes int
	// CopyBytes is the memory for the buffers of copy; each is ChunkBytes long.
	CopyBytes int
	// SpliceFromBytes is the smallest range that auto splices instead of sending.
	SpliceFromBytes int64
	// ColdCacheBytes bounds the page cache held by ranges that were read from a disk; 0 leaves the page cache to the kernel.
	// So does [Sendfile]: it would block the loop's thread on a page that was evicted too early.
	ColdCacheBytes int64
	// ReadaheadBytes and KernelReadaheadBytes are those of [pagecache.Config]. They count only with ColdCacheBytes.
	ReadaheadBytes, KernelReadaheadBytes int64
}

func (c *Config) validate() error {
	if c.ChunkBytes < 1 || c.ChunkBytes > math.MaxInt32 || c.MaxPipes < 1 || c.PipeBytes < 1 {
		return fmt.Errorf("chunk size %d, pipes %d and pipe size %d must all be at least 1, and a chunk at most %d",
			c.ChunkBytes, c.MaxPipes, c.PipeBytes, math.MaxInt32)
	}
	return nil
}

func (c *Config) pageCache() pagecache.Config {
	limit := c.ColdCacheBytes
	if c.Mode == Sendfile {
		limit = 0
	}
	return pagecache.Config{LimitBytes: limit, ReadaheadBytes: c.ReadaheadBytes, KernelReadaheadBytes: c.KernelReadaheadBytes}
}
