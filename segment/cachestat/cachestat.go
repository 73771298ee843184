// Package cachestat asks what the page cache holds of a file. Nothing but the kernel is below it: logs and the ring share it.
package cachestat

import "golang.org/x/sys/unix"

// Pages counts the pages of a range of a file that are in the page cache, by cachestat(2). ok is false where the kernel does not have
// it (before Linux 6.5) or the file system does not support it. It never waits for a disk. n is 0 for "to the end".
func Pages(file int, offset, n int64) (pages int64, ok bool) {
	var st unix.Cachestat_t
	err := unix.Cachestat(uint(file), &unix.CachestatRange{Off: uint64(offset), Len: uint64(n)}, &st, 0)
	return int64(st.Cache), err == nil
}
