package catalog

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"oneplusn/segment"
	"oneplusn/segment/mark"
)

// finishRemovals finishes, at the start, the removals that marks in the data directory name: unfinished deletions and half-made
// topics. It blocks. Partitions that cannot be removed are not served, and stay in unfinished.
func (c *Catalog) finishRemovals() error {
	entries, err := c.config.FS.ReadDir(c.config.Dir)
	if err != nil {
		return fmt.Errorf("cannot read the data directory: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(c.config.Dir, e.Name())
		switch {
		case !e.Type().IsRegular():
		case markHalfName.MatchString(e.Name()):
			mark.Hit("a start removed a note of a removal that was never decided")
			_ = c.config.FS.RemoveAll(path) // was never decided
		case markName.MatchString(e.Name()):
			r, ok, err := readRemoval(c.config.FS, c.loop.Random, path)
			if err != nil {
				return err
			}
			if !ok {
				c.loop.Log.Warn("a file is ignored: it has the name of a mark of removed partitions but not the content", "file", path)
				continue
			}
			mark.Hit("a start finished a removal")
			c.finishAtStart(r)
		}
	}
	return nil
}

func (c *Catalog) finishAtStart(r *removal) {
	c.beginRemoval(r)
	for _, p := range r.parts {
		c.loop.Log.Info("partitions are removed: they were deleted, or half made, when the server ended", "topic", p.topic, "from", p.first)
	}
	_, err := r.sweep() // listPartitions removes the files
	if err == nil && c.dropStarts(c.isRemoved) {
		write, _ := c.snapshotStarts()
		err = write()
	}
	if err == nil {
		err = r.withdraw()
	}
	if c.endRemoval(r, err); err != nil {
		return
	}
	for _, p := range r.parts {
		if p.first == 0 {
			c.RemovedAtStart = append(c.RemovedAtStart, p.topic)
		}
	}
}

// beginRemoval keeps the names of a removal from being used before its directories are gone.
func (c *Catalog) beginRemoval(r *removal) {
	for _, p := range r.parts {
		c.unfinished[p.topic] = r
	}
}

func (c *Catalog) endRemoval(r *removal, err error) {
	if err != nil {
		mark.Hit("the directories of a deleted topic could not be moved away")
		c.loop.Log.Error("the directories of removed partitions could not be moved away: they are not served, and no topic of their name is made",
			"error", err, "mark", r.mark, "remedy", "make the data directory writable; the next start tries again, and so does a request that makes a topic of that name")
		return
	}
	for _, p := range r.parts {
		delete(c.unfinished, p.topic)
	}
}

// isRemoved reports whether a partition's directory is one that could not be removed yet.
func (c *Catalog) isRemoved(topic string, index int32) bool {
	r := c.unfinished[topic]
	return r != nil && slices.ContainsFunc(r.parts, func(p removedPartitions) bool { return p.topic == topic && index >= p.first })
}

// finishing is one attempt to finish a removal: to move its directories out of the way, to make that durable, and to remove
// their files. If it fails the removal stays in unfinished.
type finishing struct {
	catalog *Catalog
	removal *removal
	gone    []*segment.Deleted // the logs whose directories they are, as far as they were open
	aside   []string           // other directories that were moved out of the way
}

// run is a step.
func (f *finishing) run(next func(error)) {
	c := f.catalog
	c.beginRemoval(f.removal)
	forgetNames := inOrder(c.startsFile.write, c.pointsFile.write, c.epochs.reserveFor(nil), offLoop(c.loop, f.removal.withdraw))
	// The shared files forget the directories before the mark goes: later partitions of those names would begin with their offsets.
	// If the disk is too full for that, removing the files makes room.
	inOrder(offLoop(c.loop, f.moveAside), forgetNames.orIfFull(f.removeFiles, forgetNames))(func(err error) {
		c.endRemoval(f.removal, err)
		f.removeFiles(func(error) {})
		next(err)
	})
}

// moveAside blocks.
func (f *finishing) moveAside() (err error) {
	var errs []error
	for _, log := range f.gone {
		errs = append(errs, log.MoveAside())
	}
	if err = errors.Join(errs...); err == nil {
		f.aside, err = f.removal.sweep()
	}
	return err
}

// removeFiles is a step that removes the directories out of the way. It does not fail: the next start removes the rest.
func (f *finishing) removeFiles(next func(error)) {
	c := f.catalog
	offLoop(c.loop, func() error {
		var errs []error
		for _, log := range f.gone {
			if log.Moved() {
				errs = append(errs, log.Remove())
			}
		}
		for _, path := range f.aside {
			errs = append(errs, c.config.FS.RemoveAll(path))
		}
		return errors.Join(errs...)
	})(func(err error) {
		if err != nil {
			mark.Hit("the files of a deleted topic could not be removed")
			c.loop.Log.Error("the files of deleted partitions could not be removed", "error", err, "remedy", "the next start tries again")
		}
		next(nil)
	})
}
