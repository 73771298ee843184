package host

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"oneplusn/ring"
)

// Cache is what the page cache holds of a set of files.
type Cache struct {
	Bytes, CachedBytes int64
	// Known is false where the kernel or the file system cannot tell (cachestat(2) is Linux 6.5).
	Known bool
}

// SegmentFiles lists the segment files of a topic's partition 0 in a data directory.
func SegmentFiles(dataDir, topic string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dataDir, topic+"-0", "*.log"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("host: %s has no segment of topic %s", dataDir, topic)
	}
	return files, err
}

// DropCache makes files cold: it writes them back and asks the kernel to forget their pages, again and again for a
// while, since pages that are still in a socket's queue stay. It says what stayed.
func DropCache(files []string) (Cache, error) {
	var left Cache
	for deadline := time.Now().Add(3 * time.Second); ; {
		left = Cache{Known: true}
		for _, path := range files {
			if err := dropOne(path, &left); err != nil {
				return left, err
			}
		}
		if !left.Known || left.CachedBytes == 0 || time.Now().After(deadline) {
			return left, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func dropOne(path string, left *Cache) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("host: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("host: %w", err)
	}
	if err := unix.Fdatasync(int(f.Fd())); err != nil {
		return fmt.Errorf("host: writing back %s: %w", path, err)
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("host: dropping %s from the page cache: %w", path, err)
	}
	pages, ok := ring.CachedPages(int(f.Fd()), 0, info.Size())
	cached := min(pages*int64(unix.Getpagesize()), info.Size())
	left.Bytes += info.Size()
	left.CachedBytes += cached
	left.Known = left.Known && ok
	return nil
}

// OnMemory says that a directory's file system has no storage behind its page cache, so that nothing can be dropped
// and nothing is read from a disk.
func OnMemory(dir string) bool {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return false
	}
	return fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC
}

// countingFileSystems are those on a block device of this host, where reads from it are counted for the process that
// caused them (proc_pid_io(5)), and overlay, which lies on one of them.
var countingFileSystems = map[int64]bool{
	unix.EXT4_SUPER_MAGIC: true, unix.XFS_SUPER_MAGIC: true, unix.BTRFS_SUPER_MAGIC: true, unix.F2FS_SUPER_MAGIC: true,
	unix.OVERLAYFS_SUPER_MAGIC: true,
}

// WhyReadsAreNotCounted says why reads from storage below a directory can't be counted, or nothing if they can.
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

// ReadCold drops files from the page cache and reads them whole, and says how long the reading took.
func ReadCold(files []string) (time.Duration, error) {
	if _, err := DropCache(files); err != nil {
		return 0, err
	}
	started := time.Now()
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			return 0, fmt.Errorf("host: %w", err)
		}
		_, err = io.Copy(io.Discard, struct{ io.Reader }{f})
		_ = f.Close()
		if err != nil {
			return 0, fmt.Errorf("host: reading %s: %w", path, err)
		}
	}
	return time.Since(started), nil
}
