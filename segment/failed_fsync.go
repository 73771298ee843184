package segment

import (
	"errors"
	"fmt"
	"path/filepath"

	"oneplusn/segment/mark"
)

// ErrPoisoned: the log takes no more writes because an fsync failed. The kernel may have dropped the written pages and reports
// that only once (fsync(2), "ERRORS"). Opening the log again finds out what the disk has.
var ErrPoisoned = errors.New("segment: no more writes after a failed fsync")

// failedSyncFile marks the directory of a log whose sync failed. The kernel marks the pages of a failed sync clean: until it
// evicts them, the file reads as if they were on the disk, and every later sync succeeds. The next start would serve them and
// lose them later; the mark tells it to read from the disk.
//
// The mark need not be durable: a crash of the machine loses it together with the pages that it is about.
const failedSyncFile = "fsync-failed"

// poison ends all writing to the log.
func (l *Log) poison(err error) {
	if l.poisoned == nil {
		mark.Hit("a log took no more writes after a failed sync")
		l.poisoned = fmt.Errorf("%w: %w: restart the server, which checks what reached the disk", ErrPoisoned, err)
		l.options.Logger.Error("the log takes no more writes", "directory", l.dir, "error", err)
	}
}

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

func (l *Log) markWork() func() func() {
	l.marked = true
	return background(l, func() error { return markFailedSync(l.worker.fs, l.dir) }, func(err error) {
		if err != nil {
			mark.Hit("the mark of a failed sync could not be left")
			l.options.Logger.Error("the next start may serve pages that the disk never got", "directory", l.dir, "error", err,
				"remedy", "unmount and mount the file system before the next start: that empties the page cache")
		}
	})
}

// forgetFailedSync removes the mark, after the log was read from the disk.
func (l *Log) forgetFailedSync() error {
	mark.Hit("a start read a log from the disk, a sync of it had failed")
	if err := l.options.FS.RemoveAll(filepath.Join(l.dir, failedSyncFile)); err != nil {
		return fmt.Errorf("segment: removing the mark of a failed sync: %w", err)
	}
	return nil
}
