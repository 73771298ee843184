// Package host tells what this host allows, and what its page cache holds of a log's files.
package host

import (
	"fmt"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"golang.org/x/sys/unix"
)

// MemoryLimit is how many bytes of memory this process and its children may use together, page cache included: the
// cgroup's limit or the machine's memory, whichever is lower; 0 if neither is known.
func MemoryLimit() int64 {
	limit, err := memlimit.FromCgroup()
	if machine, merr := memlimit.FromSystem(); merr == nil && (err != nil || machine < limit) {
		limit, err = machine, nil
	}
	if err != nil || limit > 1<<62 {
		return 0
	}
	return int64(limit)
}

// RaiseOpenFiles raises the soft limit on open files to the hard limit, and returns that.
func RaiseOpenFiles() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	limit.Cur = limit.Max
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	return limit.Cur
}

// OnMemory tells whether a directory's file system has no storage below its page cache, so that nothing can be dropped
// and nothing is read from a disk.
func OnMemory(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && (fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC)
}

// countingFileSystems lie on a block device of this host, whose reads the kernel counts for the process that caused them
// (proc_pid_io(5)). Overlay lies on one of the others.
var countingFileSystems = map[int64]bool{
	unix.EXT4_SUPER_MAGIC: true, unix.XFS_SUPER_MAGIC: true, unix.BTRFS_SUPER_MAGIC: true, unix.F2FS_SUPER_MAGIC: true,
	unix.OVERLAYFS_SUPER_MAGIC: true,
}

// WhyReadsAreNotCounted gives the reason why reads from storage below a directory cannot be counted; empty if they can.
func WhyReadsAreNotCounted(dir string) string {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return "the file system does not say what it is: " + err.Error()
	}
	switch {
	case OnMemory(dir):
		return "the data directory is in memory (tmpfs), where there is nothing to drop and no disk to read: name one on a disk with --dir"
	case !countingFileSystems[int64(fs.Type)]:
		return fmt.Sprintf("the kernel is not known to count reads on this file system (type %#x): name a directory on ext4, xfs or btrfs with --dir", fs.Type)
	}
	return ""
}
