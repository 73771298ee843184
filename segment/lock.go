package segment

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockFile is the file that a server locks. It is Apache Kafka's too, whose lock excludes this server's.
const lockFile = ".lock"

// LockDataDir reserves a data directory for this process until unlock or its end: two servers on one directory would overwrite each
// other's batches. The lock is fcntl(2)'s, of the open file description (F_OFD_SETLK).
func LockDataDir(dataDir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dataDir, lockFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("segment: cannot write to the data directory: %w: choose another with --data", err)
	}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		err = fmt.Errorf("another process holds the lock: stop that server, or choose another directory")
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("segment: locking the data directory %s: %w", dataDir, err)
	}
	return func() { _ = f.Close() }, nil
}
