package fanout

import (
	"path/filepath"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/transfer"
)

const (
	// coldCacheShare is the default share of the memory for records read from a disk; the newest records and the processes
	// have the other three quarters.
	coldCacheShare    = 4
	minColdCacheBytes = 16 << 20
	maxColdCacheBytes = 1 << 44
)

// defaultColdCacheBytes is a share of the memory that this process may use, in whole MiB.
func (c *Config) defaultColdCacheBytes() int64 {
	if c.Machine.MemoryBytes == 0 {
		return 1 << 30
	}
	return max(min(c.Machine.MemoryBytes/coldCacheShare, maxColdCacheBytes)>>20<<20, minColdCacheBytes)
}

// settleColdCache turns the cold cache off where it cannot tell hot from cold, and logs why if it was asked for.
func (c *Config) settleColdCache() {
	t, why := &c.Transfer, ""
	var kernelReadahead int64
	switch {
	case t.ColdCacheBytes == 0 && t.ReadaheadBytes == 0:
		return
	case t.ColdCacheBytes == 0:
		why = "--cold-cache is 0"
	case t.Mode == transfer.Sendfile:
		why = "--transfer sendfile does not look at the page cache"
	default:
		kernelReadahead, why = c.Machine.PageCache(filepath.Join(c.DataDir, catalog.IdentityFile))
	}
	if why != "" {
		c.Logger.Info("the page cache is left to the kernel: --cold-cache and --readahead have no effect", "reason", why)
		t.ColdCacheBytes = 0
		return
	}
	t.KernelReadaheadBytes = kernelReadahead
}
