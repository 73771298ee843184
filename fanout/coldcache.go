package fanout

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"golang.org/x/sys/unix"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/transfer"
	"oneplusn/segment/cachestat"
)

const (
	// coldCacheShare is the default share of the memory for records read from a disk; the newest records and the processes
	// have the other three quarters.
	coldCacheShare    = 4
	minColdCacheBytes = 16 << 20
	maxColdCacheBytes = 1 << 44
)

// defaultColdCacheBytes is a share of the memory that this process may use: the cgroup's, or else the machine's, in whole MiB.
// It is computed once, since the loop asks for defaults too and must not read files.
var defaultColdCacheBytes = sync.OnceValue(func() int64 {
	limit, err := memlimit.FromCgroup()
	if machine, merr := memlimit.FromSystem(); merr == nil && (err != nil || machine < limit) {
		limit, err = machine, nil
	}
	if err != nil {
		return 1 << 30
	}
	share := int64(min(limit/coldCacheShare, maxColdCacheBytes))
	return max(share>>20<<20, minColdCacheBytes)
})

// whyPageCacheHidden says why cachestat(2) cannot tell what the page cache holds, or nothing if it can: it needs Linux 6.5,
// and on overlayfs it reports no page at all.
func whyPageCacheHidden(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	if _, err := f.ReadAt(make([]byte, 1), 0); err != nil {
		return err.Error()
	}
	switch pages, ok := cachestat.Pages(int(f.Fd()), 0, 1); {
	case !ok:
		return "there is no cachestat(2) (Linux 6.5), or it is forbidden"
	case pages == 0:
		return "cachestat(2) does not see a file that has just been read: the file system hides its page cache, as overlayfs does"
	}
	return ""
}

// kernelReadaheadBytes is how far the kernel reads ahead in files of a directory by itself.
func kernelReadaheadBytes(dir string) int64 {
	const unknown = 8 << 20
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return unknown
	}
	device := fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	for _, path := range []string{"/sys/class/bdi/" + device + "/read_ahead_kb", "/sys/dev/block/" + device + "/../queue/read_ahead_kb"} {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if kib, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 32); err == nil && kib >= 0 {
			return kib << 10
		}
	}
	return unknown
}

// settleColdCache turns the cold cache off where it cannot tell hot from cold, and logs why if it was asked for.
func (c *Config) settleColdCache() {
	t, why := &c.Transfer, ""
	switch {
	case t.ColdCacheBytes == 0 && t.ReadaheadBytes == 0:
		return
	case t.ColdCacheBytes == 0:
		why = "--cold-cache is 0"
	case t.Mode == transfer.Sendfile:
		why = "--transfer sendfile does not look at the page cache"
	default:
		why = whyPageCacheHidden(filepath.Join(c.DataDir, catalog.IdentityFile))
	}
	if why != "" {
		c.Logger.Info("the page cache is left to the kernel: --cold-cache and --readahead have no effect", "reason", why)
		t.ColdCacheBytes = 0
		return
	}
	t.KernelReadaheadBytes = kernelReadaheadBytes(c.DataDir)
}
