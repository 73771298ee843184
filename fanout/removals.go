package fanout

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"oneplusn/segment"
)

// finishRemovals does at the start what the marks in the data directory ask for: deletions that were decided and not
// finished, and topics that were half made. It blocks. What cannot be removed is not served, and stays in unfinished.
func (t *topics) finishRemovals(log *slog.Logger) error {
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return fmt.Errorf("fanout: cannot read the data directory: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(t.dir, e.Name())
		switch {
		case !e.Type().IsRegular():
		case markHalfName.MatchString(e.Name()):
			_ = t.fs.RemoveAll(path) // was never decided
		case markName.MatchString(e.Name()):
			r, ok, err := readRemoval(t.fs, path)
			if err != nil {
				return err
			}
			if !ok {
				log.Warn("a file is ignored: it has the name of a mark of removed partitions and not its content", "file", path)
				continue
			}
			t.finishAtStart(r, log)
		}
	}
	return nil
}

func (t *topics) finishAtStart(r *removal, log *slog.Logger) {
	for _, p := range r.parts {
		t.unfinished[p.topic] = r
		log.Info("partitions are removed: they were deleted, or half made, when the server ended", "topic", p.topic, "from", p.first)
	}
	_, err := r.sweep() // what it moves aside is removed with all that was
	if err == nil && t.dropStarts(func(topic string, index int32) bool { return t.isRemoved(topic, index) }) {
		work, _ := t.writeStarts()
		err = work()
	}
	if err == nil {
		err = r.withdraw()
	}
	if err != nil {
		logUnfinished(log, r, err)
		return
	}
	for _, p := range r.parts {
		delete(t.unfinished, p.topic)
		if p.first == 0 {
			t.removedAtStart = append(t.removedAtStart, p.topic)
		}
	}
}

// isRemoved says that a partition's directory is one that could not be removed yet.
func (t *topics) isRemoved(topic string, index int32) bool {
	r := t.unfinished[topic]
	return r != nil && slices.ContainsFunc(r.parts, func(p removedPartitions) bool { return p.topic == topic && index >= p.first })
}

// dropStarts drops what is to be written down of the starts of logs that are gone, or logs of the same names would begin
// there.
func (t *topics) dropStarts(gone func(topic string, index int32) bool) (dropped bool) {
	for directory := range t.starts {
		if topic, index, ok := partitionDir(directory); ok && gone(topic, index) {
			delete(t.starts, directory)
			dropped = true
		}
	}
	return dropped
}

func logUnfinished(log *slog.Logger, r *removal, err error) {
	log.Error("the directories of removed partitions could not be moved away: they are not served, and no topic of their name is made",
		"error", err, "mark", r.mark, "remedy", "make the data directory writable; the next start tries again, and so does who makes a topic of that name")
}

// finishRemoval moves the directories of a removal out of the way, makes that durable, and calls done on the loop: with
// an error if that could not be done, and then the removal stays in unfinished. gone are logs whose directories they are, if
// there were any.
func (b *Broker) finishRemoval(r *removal, gone []*segment.Deleted, done func(err error)) {
	for _, p := range r.parts {
		b.topics.unfinished[p.topic] = r
	}
	d := &finishing{removal: r, gone: gone, done: done}
	b.loop.Go(d.moveAside, func() {
		if d.err != nil {
			b.endRemoval(d)
			return
		}
		b.forgetNames(d, func(err error) {
			if !noSpace(err) {
				d.err = err
				b.endRemoval(d)
				return
			}
			b.removeAside(d, func() { // which makes room
				b.forgetNames(d, func(err error) {
					d.err = err
					b.endRemoval(d)
				})
			})
		})
	})
}

// finishing is a removal that is being finished.
type finishing struct {
	removal *removal
	gone    []*segment.Deleted
	aside   []string // what else was moved out of the way
	err     error
	done    func(err error)
}

// moveAside blocks.
func (d *finishing) moveAside() {
	var errs []error
	for _, log := range d.gone {
		errs = append(errs, log.MoveAside())
	}
	if d.err = errors.Join(errs...); d.err == nil {
		d.aside, d.err = d.removal.sweep()
	}
}

// removeFiles removes what is out of the way. It blocks.
func (d *finishing) removeFiles(fs segment.FS) error {
	var errs []error
	for _, log := range d.gone {
		if log.Moved() {
			errs = append(errs, log.Remove())
		}
	}
	for _, path := range d.aside {
		errs = append(errs, fs.RemoveAll(path))
	}
	return errors.Join(errs...)
}

// endRemoval ends an attempt to finish a removal.
func (b *Broker) endRemoval(d *finishing) {
	if d.err != nil {
		logUnfinished(b.loop.Log, d.removal, d.err)
	} else {
		for _, p := range d.removal.parts {
			delete(b.topics.unfinished, p.topic)
		}
	}
	b.removeAside(d, func() {})
	d.done(d.err)
}

// forgetNames ends a removal whose directories are out of the way: what shared files have of them goes, or the next
// partitions of those names would begin with it. Then the mark goes.
func (b *Broker) forgetNames(d *finishing, done func(err error)) {
	t := &b.topics
	files := []*sharedFile{&t.startsFile, &t.pointsFile}
	if t.lives.next > t.lives.reserved { // there was no room for it before
		t.lives.wanted = max(t.lives.wanted, t.lives.next)
		files = append(files, &t.lives.file)
	}
	b.writeAll(files, func(err error) {
		if err != nil {
			done(err)
			return
		}
		b.loop.Go(func() { err = d.removal.withdraw() }, func() { done(err) })
	})
}

// writeAll has files written one after the other, as far as there is no error.
func (b *Broker) writeAll(files []*sharedFile, done func(error)) {
	if len(files) == 0 {
		done(nil)
		return
	}
	b.topics.changes.write(files[0], func(err error) {
		if err != nil {
			done(err)
			return
		}
		b.writeAll(files[1:], done)
	})
}

// removeAside removes the files of what was moved out of the way.
func (b *Broker) removeAside(d *finishing, done func()) {
	fs := b.topics.fs
	var err error
	b.loop.Go(func() { err = d.removeFiles(fs) }, func() {
		if err != nil {
			b.loop.Log.Error("the files of deleted partitions could not be removed", "error", err, "remedy", "the next start tries again")
		}
		done()
	})
}
