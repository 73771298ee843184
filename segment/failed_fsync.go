package segment

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// ErrPoisoned says that a log takes no more writes because an fsync failed: the kernel may have dropped what was
// written, and says so only once (fsync(2), "ERRORS"). Opening the log again finds out what is on the disk.
var ErrPoisoned = errors.New("segment: no more writes after a failed fsync")

// failedSyncFile marks the directory of a log whose sync failed. The kernel takes the pages of a failed sync for written,
// so until they are evicted a file reads as if they were on the disk, and every later sync of it succeeds. The next
// start would believe them, and lose them later; by the mark it knows to read from the disk.
//
// The mark itself need not be durable: it is about pages in the page cache, and is lost with them.
const failedSyncFile = "fsync-failed"

// poison ends the writing.
func (l *Log) poison(err error) {
	if l.poisoned == nil {
		l.poisoned = fmt.Errorf("%w: %w: restart the server, which checks what reached the disk", ErrPoisoned, err)
		l.options.Logger.Error("the log takes no more writes", "directory", l.dir, "error", err)
	}
}

// markFailedSync leaves the mark. It may block.
func markFailedSync(fsys FS, dir string) error {
	f, err := fsys.Open(filepath.Join(dir, failedSyncFile), Create)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("segment: noting that a sync failed: %w", err)
	}
	return nil
}

// markWork leaves the mark off the log's thread.
func (l *Log) markWork() func() func() {
	l.working, l.marked = true, true
	fsys, dir, w := l.options.FS, l.dir, l.worker
	return func() func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		var err error
		if !w.gone.Load() {
			err = markFailedSync(fsys, dir)
		}
		return func() {
			l.endWork()
			if err != nil {
				l.options.Logger.Error("the next start may take lost pages for safe", "directory", l.dir, "error", err,
					"remedy", "mount the file system anew before it, which empties the page cache")
			}
		}
	}
}

// hasFailedSync says that the mark is among the names of a directory.
func hasFailedSync(names []string) bool { return slices.Contains(names, failedSyncFile) }

// forgetFailedSync removes the mark when the log has been read from the disk.
func (l *Log) forgetFailedSync() error {
	if err := l.options.FS.RemoveAll(filepath.Join(l.dir, failedSyncFile)); err != nil {
		return fmt.Errorf("segment: removing the mark of a failed sync: %w", err)
	}
	return nil
}
