package segment

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"oneplusn/segment/disk"
)

// lockFile is the file that a server locks. It is Apache Kafka's too, whose lock excludes this server's.
const lockFile = ".lock"

// ErrLocked: another process uses the data directory.
var ErrLocked = disk.ErrLocked

// LockDataDir reserves a data directory for this process until unlock or its end: two servers on one directory would overwrite each
// other's batches.
func LockDataDir(fsys FS, dataDir string) (unlock func(), err error) {
	unlock, err = fsys.Lock(filepath.Join(dataDir, lockFile))
	switch {
	case errors.Is(err, ErrLocked):
		return nil, fmt.Errorf("segment: locking the data directory %s: %w", dataDir, err)
	case err != nil:
		return nil, fmt.Errorf("segment: cannot write to the data directory: %w: choose another with --data", err)
	}
	return unlock, nil
}

// Lock is fcntl(2)'s, of the open file description (F_OFD_SETLK).
func (osFS) Lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		err = ErrLocked
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
