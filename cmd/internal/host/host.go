// Package host says what this host allows, and what its page cache holds of the files of a log.
package host

import (
	"github.com/KimMachineGun/automemlimit/memlimit"
	"golang.org/x/sys/unix"
)

// MemoryLimit is how many bytes of memory this process and its children may use together, page cache included: the
// cgroup's limit, or else what the machine has; 0 if that can't be found out.
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

// RaiseOpenFiles takes what the hard limit on open files allows, and says how many that is.
func RaiseOpenFiles() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	limit.Cur = limit.Max
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	return limit.Cur
}
