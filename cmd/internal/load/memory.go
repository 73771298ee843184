package load

import "github.com/KimMachineGun/automemlimit/memlimit"

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
