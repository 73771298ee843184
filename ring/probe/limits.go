package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"oneplusn/ring"
)

// ownDescriptors are those that the process opens besides subscribers, pipes and segments: the ring, listeners, the admin
// server, the runtime's epoll.
const ownDescriptors = 64

// comfortableTCPBytes is the socket buffer from which one turn of the loop moves a full pipe. Below it every subscriber
// costs more, shorter turns.
const comfortableTCPBytes = 1 << 20

// comfortableBacklog takes a thousand subscribers that all come back at once after a restart.
const comfortableBacklog = 1024

func probePipes(privileged bool) []Check {
	pageBytes := unix.Getpagesize()
	pipe, err := ring.OpenPipe(pipeBytes)
	if err == nil {
		pipe.Close()
	}
	softPages, known := sysctlInt("fs/pipe-user-pages-soft")
	return []Check{
		classifyPipeSize(pipe.Slots * pageBytes),
		classifyPipePool(pageBytes, softPages, known && !privileged),
	}
}

// classifyPipeSize is given the size of a pipe after F_SETPIPE_SZ; 0 if there could be no pipe at all.
func classifyPipeSize(givenBytes int) Check {
	c := Check{Name: "pipe size", Found: fmt.Sprintf("%d KiB", givenBytes>>10), Need: fmt.Sprintf("%d KiB", pipeBytes>>10),
		OK: givenBytes >= pipeBytes}
	switch {
	case c.OK:
	case givenBytes == 0:
		c.Fatal = true
		c.Cause = "pipe2(2) failed: there are no file descriptors left"
		c.Remedy = "raise ulimit -n"
	default:
		c.Cause = "sysctl fs.pipe-max-size, or what this user's other pipes have left, is smaller; chunks get shorter"
		c.Remedy = fmt.Sprintf("sysctl -w fs.pipe-max-size=%d, give CAP_SYS_RESOURCE, or lower --pipe-size", pipeBytes)
	}
	return c
}

// classifyPipePool compares the pool with what one user may hold in pipes. limited is false for a process with
// CAP_SYS_RESOURCE or CAP_SYS_ADMIN, which the limit does not touch, and 0 pages means no limit (pipe(7)).
func classifyPipePool(pageBytes int, softPages int64, limited bool) Check {
	wantPages := pipes * int64(max(pipeBytes/pageBytes, 1))
	check := Check{Name: "pipe pages", Need: fmt.Sprintf("%d pages for %d pipes", wantPages, pipes), OK: true}
	if !limited || softPages == 0 {
		check.Found = "not limited for this process"
		return check
	}
	check.Found = fmt.Sprintf("%d pages for this user", softPages)
	check.OK = wantPages <= softPages
	return check.because(fmt.Sprintf("sysctl fs.pipe-user-pages-soft lets %d pipes of this size be, the rest shrink to two pages",
		softPages*int64(pageBytes)/int64(max(pipeBytes, pageBytes))),
		fmt.Sprintf("sysctl -w fs.pipe-user-pages-soft=%d, give CAP_SYS_RESOURCE, or lower --pipe-size", wantPages))
}

func probeLimits(subscribers int, privileged bool) []Check {
	checks := []Check{
		classifyProcesses(rlimit(unix.RLIMIT_NPROC), privileged),
		classifyFiles(subscribers, rlimit(unix.RLIMIT_NOFILE)),
		classifyMemlock(rlimit(unix.RLIMIT_MEMLOCK)),
	}
	for _, name := range []string{"tcp_wmem", "tcp_rmem"} {
		text, err := os.ReadFile("/proc/sys/net/ipv4/" + name)
		if err == nil {
			checks = append(checks, classifyTCPBuffer(name, string(text)))
		}
	}
	if backlog, ok := sysctlInt("net/core/somaxconn"); ok {
		checks = append(checks, classifyBacklog(backlog))
	}
	return checks
}

func rlimit(resource int) unix.Rlimit {
	var l unix.Rlimit
	if unix.Getrlimit(resource, &l) != nil {
		return unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	}
	return l
}

func limitText(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

// classifyProcesses: the ring's workers are threads of this user, and RLIMIT_NPROC counts threads.
func classifyProcesses(l unix.Rlimit, privileged bool) Check {
	need := uint64(workers + ring.MinBoundedWorkers + ownDescriptors)
	check := Check{Name: "threads", Found: limitText(l.Cur), Need: fmt.Sprintf("%d for this user", need),
		OK: privileged || l.Cur >= need}
	return check.because("RLIMIT_NPROC leaves no room for the ring's workers, and splices wait for each other",
		"raise ulimit -u, or lower --io-workers")
}

// classifyFiles: a subscriber costs one descriptor and a pipe two. The Go runtime raises the soft limit to the hard one
// when the process starts, so the hard limit counts.
func classifyFiles(subscribers int, l unix.Rlimit) Check {
	overhead := uint64(2*pipes + ownDescriptors)
	need := uint64(subscribers) + overhead
	check := Check{Name: "file descriptors", Need: fmt.Sprintf("%d for %d subscribers", need, subscribers), OK: l.Max >= need}
	if l.Max == unix.RLIM_INFINITY {
		check.Found = "unlimited"
		return check
	}
	room := uint64(0)
	if l.Max > overhead {
		room = l.Max - overhead
	}
	check.Found = fmt.Sprintf("%s (soft %s), room for %d subscribers", limitText(l.Max), limitText(l.Cur), room)
	return check.because("RLIMIT_NOFILE is too low for that many subscribers",
		fmt.Sprintf("ulimit -Hn %d, or LimitNOFILE=%d in the systemd unit", need, need))
}

// classifyMemlock only informs: rings have been charged to the memory cgroup since 5.12, and no buffers are registered.
func classifyMemlock(l unix.Rlimit) Check {
	return Check{Name: "locked memory", Found: limitText(l.Cur) + " bytes", Need: "nothing since Linux 5.12", OK: true}
}

// classifyTCPBuffer is given the three numbers of net.ipv4.tcp_wmem or tcp_rmem.
func classifyTCPBuffer(name, text string) Check {
	fields := strings.Fields(text)
	c := Check{Name: name, Found: strings.Join(fields, " "),
		Need: fmt.Sprintf("a maximum of %d bytes", comfortableTCPBytes)}
	if len(fields) == 3 {
		largest, err := strconv.ParseInt(fields[2], 10, 64)
		c.OK = err == nil && largest >= comfortableTCPBytes
	}
	return c.because("small socket buffers make every subscriber cost more and shorter turns of the loop",
		fmt.Sprintf("sysctl -w net.ipv4.%s='4096 131072 %d'", name, 4*comfortableTCPBytes))
}

func classifyBacklog(backlog int64) Check {
	c := Check{Name: "somaxconn", Found: strconv.FormatInt(backlog, 10), Need: strconv.Itoa(comfortableBacklog),
		OK: backlog >= comfortableBacklog}
	return c.because("when many subscribers connect at once, those beyond the backlog try again after a second",
		fmt.Sprintf("sysctl -w net.core.somaxconn=%d", comfortableBacklog))
}

// probeDataDir looks at the directory, or at the nearest one above it that exists and in which it would be made.
func probeDataDir(dir string) Check {
	at, err := filepath.Abs(dir)
	if err != nil {
		at = dir
	}
	for {
		if _, err := os.Lstat(at); err == nil || filepath.Dir(at) == at {
			break
		}
		at = filepath.Dir(at)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(at, &fs); err != nil {
		return Check{Name: "data directory", Found: at, Need: "a directory", Fatal: true,
			Cause: "statfs: " + err.Error(), Remedy: "name another directory with --data"}
	}
	info, err := os.Stat(at)
	isDir := err == nil && info.IsDir()
	return classifyDataDir(at, isDir, unix.Access(at, unix.W_OK|unix.X_OK) == nil, int64(fs.Type))
}

// fileSystems names the file systems for which there is something to say (statfs(2)).
var fileSystems = map[int64]struct{ name, caution string }{
	unix.EXT4_SUPER_MAGIC:      {"ext4", ""},
	unix.XFS_SUPER_MAGIC:       {"xfs", ""},
	unix.BTRFS_SUPER_MAGIC:     {"btrfs", ""},
	unix.F2FS_SUPER_MAGIC:      {"f2fs", ""},
	unix.OVERLAYFS_SUPER_MAGIC: {"overlay", "a container's own layer: segments go when the container goes"},
	unix.TMPFS_MAGIC:           {"tmpfs", "memory: segments go with a reboot, and reads from a disk can't be counted"},
	unix.NFS_SUPER_MAGIC:       {"nfs", "another host can change pages that are on their way to a subscriber"},
	unix.FUSE_SUPER_MAGIC:      {"fuse", "splice from it may copy, and its server decides what a sync means"},
	unix.V9FS_MAGIC:            {"9p", "splice from it may copy, and the host decides what a sync means"},
	unix.SMB2_SUPER_MAGIC:      {"smb", "another host can change pages that are on their way to a subscriber"},
}

func classifyDataDir(dir string, isDir, writable bool, magic int64) Check {
	fs, known := fileSystems[magic]
	if !known {
		fs.name = fmt.Sprintf("file system %#x", magic)
	}
	c := Check{Name: "data directory", Found: fs.name + " at " + dir, Need: "writable, on a local disk", OK: true}
	switch {
	case !isDir:
		c.OK, c.Fatal = false, true
		c.Cause = dir + " is not a directory"
		c.Remedy = "name another directory with --data"
	case !writable:
		c.OK, c.Fatal = false, true
		c.Cause = "this user may not write to " + dir
		c.Remedy = "chown it to the server's user, or name another directory with --data"
	case fs.caution != "":
		c.OK = false
		c.Cause = fs.caution
		c.Remedy = "put --data on ext4, xfs or btrfs unless this is meant"
	}
	return c
}

func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// uringDisabledSysctl is kernel.io_uring_disabled, -1 where the kernel has no such setting (before 6.6).
func uringDisabledSysctl() int {
	if n, ok := sysctlInt("kernel/io_uring_disabled"); ok {
		return int(n)
	}
	return -1
}

func sysctlInt(path string) (int64, bool) {
	text, err := os.ReadFile("/proc/sys/" + path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// effectiveCapability asks for one capability of this thread (capabilities(7)).
func effectiveCapability(capability uint) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0
}
