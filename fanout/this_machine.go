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

	"oneplusn/fanout/conn"
	"oneplusn/fanout/loop"
	"oneplusn/ring"
	"oneplusn/segment/cachestat"
)

// ThisMachine is the one that the program runs on.
func ThisMachine() Machine {
	return Machine{
		Machine:   loop.ThisMachine(),
		NewKernel: func(c ring.Config) (ring.Kernel, error) { return ring.New(c) },
		Bind:      conn.Bind, InlineWrites: onLocalFileSystem, PageCache: pageCache,
		OpenFilesLimit: openFilesLimit(), MemoryBytes: memoryBytes(),
	}
}

// openFilesLimit asks for the soft limit, which the Go runtime has raised to the hard one.
func openFilesLimit() int64 {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0
	}
	return int64(min(r.Cur, 1<<40))
}

// memoryBytes is the cgroup's limit, or else the machine's memory. It is computed once: it reads files.
var memoryBytes = sync.OnceValue(func() int64 {
	limit, err := memlimit.FromCgroup()
	if machine, merr := memlimit.FromSystem(); merr == nil && (err != nil || machine < limit) {
		limit, err = machine, nil
	}
	if err != nil {
		return 0
	}
	return int64(min(limit, 1<<62))
})

// localFileSystems write to this machine's page cache, and over no network.
var localFileSystems = map[int64]bool{
	unix.EXT4_SUPER_MAGIC: true, unix.XFS_SUPER_MAGIC: true, unix.BTRFS_SUPER_MAGIC: true, unix.F2FS_SUPER_MAGIC: true,
	unix.TMPFS_MAGIC: true, unix.OVERLAYFS_SUPER_MAGIC: true,
}

// onLocalFileSystem reports whether writes to a directory go to the page cache of this machine only.
func onLocalFileSystem(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && localFileSystems[int64(st.Type)]
}

func pageCache(file string) (readaheadBytes int64, hidden string) {
	return kernelReadaheadBytes(filepath.Dir(file)), whyPageCacheHidden(file)
}

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
