package segment

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"

	"oneplusn/segment/mark"
)

// Deleted is the directory of a deleted log.
type Deleted struct {
	fs     FS
	random func([]byte)
	dir    string
	aside  string // empty until the directory has been moved
	worker *worker
}

// Delete ends the log at once and does not block: nothing is written any more, not even by jobs, a write or a sync in flight.
// The directory keeps its name until MoveAside. Ranges in flight can still be sent.
func (l *Log) Delete() *Deleted {
	if l.deleted == nil {
		mark.HitIf(l.working, "a log was deleted while a background job of it ran")
		l.worker.gone.Store(true)
		if !l.closed {
			l.release()
		}
		l.deleted = &Deleted{fs: l.options.FS, random: l.options.Random, dir: l.dir, worker: l.worker}
	}
	return l.deleted
}

// MoveAside waits for jobs that use the directory by name, then renames it: from then on nothing of the log can touch another
// log of that name. The rename is durable once the data directory is synced. It may block, runs on any goroutine, and may be
// called again after an error.
func (d *Deleted) MoveAside() (err error) {
	if d.aside != "" {
		return nil
	}
	d.worker.stop()
	defer d.worker.mu.Unlock()
	d.aside, err = MoveAside(d.fs, d.dir, d.random)
	return err
}

// Moved reports whether MoveAside has renamed the directory.
func (d *Deleted) Moved() bool { return d.aside != "" }

// Remove removes the files, after MoveAside. It may block and runs on any goroutine.
func (d *Deleted) Remove() error {
	if d.aside == "" {
		panic("segment: the files of a deleted log are removed before its directory was renamed: " + d.dir)
	}
	if err := d.fs.RemoveAll(d.aside); err != nil {
		return fmt.Errorf("segment: removing %s: %w", d.aside, err)
	}
	return nil
}

// MoveAside renames the directory of a partition to a name that [IsDeleted] recognizes, with random bytes in it. It may block.
func MoveAside(fsys FS, dir string, random func([]byte)) (aside string, err error) {
	aside = asideName(dir, random)
	if err := fsys.Rename(dir, aside); err != nil {
		return "", fmt.Errorf("segment: deleting %s: %w", dir, err)
	}
	return aside, nil
}

const (
	// deletedSuffix marks the directory of a deleted partition, as in Kafka.
	deletedSuffix = "-delete"
	// maxNameBytes is the longest name of a file (NAME_MAX).
	maxNameBytes = 255
)

// asideName is a new name for a directory to be removed. As in Apache Kafka it is cut to NAME_MAX: the longest topic names
// leave no room for the suffix.
func asideName(dir string, random func([]byte)) string {
	parent, name := filepath.Split(dir)
	var unique [16]byte
	random(unique[:])
	rest := "." + hex.EncodeToString(unique[:]) + deletedSuffix
	return filepath.Join(parent, name[:min(len(name), maxNameBytes-len(rest))]+rest)
}

var (
	deletedName = regexp.MustCompile(`^.+-[0-9]+\.[0-9a-f]{32}-delete$`)
	deletedLong = regexp.MustCompile(`^[a-zA-Z0-9._-]+\.[0-9a-f]{32}-delete$`)
)

// IsDeleted reports whether a deletion, here or in Apache Kafka, gave a directory its name:
// <topic>-<partition>.<32 hex digits>-delete, where a name of the maximum length may have lost its partition. The server
// removes no other directory, whatever its suffix.
func IsDeleted(dir string) bool {
	name := filepath.Base(dir)
	return deletedName.MatchString(name) || len(name) == maxNameBytes && deletedLong.MatchString(name)
}
