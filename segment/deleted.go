package segment

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
)

// Deleted is what is left of a log that was deleted: its directory.
type Deleted struct {
	fs     FS
	dir    string
	aside  string // empty until the directory has been moved
	worker *worker
}

// Delete ends the log at once: nothing is written any more, not even by work, a write or a sync that is under way. The
// directory stays where it is until it is moved. Ranges under way can still be sent. It does not block.
func (l *Log) Delete() *Deleted {
	if l.deleted == nil {
		l.worker.gone.Store(true)
		if !l.closed {
			l.release()
		}
		l.deleted = &Deleted{fs: l.options.FS, dir: l.dir, worker: l.worker}
	}
	return l.deleted
}

// MoveAside takes the directory out of the way by one rename, after whatever still uses it by name has ended: from then
// on nothing of the log can meet another log of that name. The rename is durable when the data directory has been synced.
// It may block, be called from any goroutine, and be called again after an error.
func (d *Deleted) MoveAside() error {
	if d.aside != "" {
		return nil
	}
	d.worker.stop()
	defer d.worker.mu.Unlock()
	aside, err := MoveAside(d.fs, d.dir)
	if err == nil {
		d.aside = aside
	}
	return err
}

// Moved says that the directory is out of the way.
func (d *Deleted) Moved() bool { return d.aside != "" }

// Remove removes the files of a directory that was moved. It may block and be called from any goroutine.
func (d *Deleted) Remove() error {
	if d.aside == "" {
		panic("segment: the files of a deleted log are removed from under the name of another: " + d.dir)
	}
	if err := d.fs.RemoveAll(d.aside); err != nil {
		return fmt.Errorf("segment: removing %s: %w", d.aside, err)
	}
	return nil
}

// MoveAside gives the directory of a partition a name that [IsDeleted] knows. It may block.
func MoveAside(fsys FS, dir string) (aside string, err error) {
	aside = asideName(dir)
	if err := fsys.Rename(dir, aside); err != nil {
		return "", fmt.Errorf("segment: deleting %s: %w", dir, err)
	}
	return aside, nil
}

const (
	// deletedSuffix marks the directory of a partition whose topic was deleted, as Kafka does.
	deletedSuffix = "-delete"
	// maxNameBytes is the longest name of a file (NAME_MAX).
	maxNameBytes = 255
)

// asideName is a new name for a directory that is to be removed. Like Apache Kafka's it is cut to what a file system
// takes: the longest topic names leave no room for the rest.
func asideName(dir string) string {
	parent, name := filepath.Split(dir)
	var unique [16]byte
	_, _ = rand.Read(unique[:])
	rest := "." + hex.EncodeToString(unique[:]) + deletedSuffix
	return filepath.Join(parent, name[:min(len(name), maxNameBytes-len(rest))]+rest)
}

var (
	deletedName = regexp.MustCompile(`^.+-[0-9]+\.[0-9a-f]{32}-delete$`)
	deletedLong = regexp.MustCompile(`^[a-zA-Z0-9._-]+\.[0-9a-f]{32}-delete$`)
)

// IsDeleted says that a directory's name is one that a deletion gave it, here or in Apache Kafka:
// <topic>-<partition>.<32 hex digits>-delete, where a name as long as a file system takes may have lost its partition.
// No other is ever removed, whatever it ends in.
func IsDeleted(dir string) bool {
	name := filepath.Base(dir)
	return deletedName.MatchString(name) || len(name) == maxNameBytes && deletedLong.MatchString(name)
}
