package catalog

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/mark"
)

// expireSegments removes from every log the segments that its retention no longer keeps. That is cheap: the files go in the background, and
// a response under way keeps those that it sends.
func (c *Catalog) expireSegments() {
	var removals []func() error
	for tp := range c.all() {
		for p := range tp.Online() {
			removals = c.expireOne(p, removals)
		}
	}
	c.RemoveFiles(removals)
}

// expireOne appends the removal of the segments that a log no longer keeps.
func (c *Catalog) expireOne(p *Partition, removals []func() error) []func() error {
	before := p.Log.LogStartOffset()
	if remove := p.Log.Expire(c.loop.UnixMillis()); remove != nil {
		mark.Hit("segments of a log were removed")
		c.loop.Log.Info("old segments are deleted", "topic", p.Topic.Name, "partition", p.Index,
			"start_before", before, "start_offset", p.Log.LogStartOffset())
		removals = append(removals, remove)
	}
	mustNotFall(p, before)
	c.committer.Work(&p.Commit)
	return removals
}

func mustNotFall(p *Partition, before int64) {
	if start := p.Log.LogStartOffset(); start < before {
		panic(fmt.Sprintf("catalog: the start of %s fell from offset %d to %d", p.Directory(), before, start))
	}
}

// RemoveFiles removes files of logs in the background.
func (c *Catalog) RemoveFiles(removals []func() error) {
	if len(removals) == 0 {
		return
	}
	offLoop(c.loop, func() error {
		var errs []error
		for _, remove := range removals {
			errs = append(errs, remove())
		}
		return errors.Join(errs...)
	})(func(err error) {
		if err != nil {
			c.loop.Log.Error("old segments could not be removed", "error", err,
				"remedy", "remove the files that end in .deleted by hand when the file system allows it")
		}
	})
}

// DeleteRecords moves the start of a log, -1 for its high watermark. Until [Catalog.KeepStarts] has ended a crash undoes it.
func (c *Catalog) DeleteRecords(p *Partition, offset int64) (lowWatermark int64, code int16) {
	if p.Topic.Internal {
		return -1, wire.CodeInvalidTopic
	}
	if offset == -1 {
		offset = p.Log.HighWatermark()
	}
	before := p.Log.LogStartOffset()
	if err := p.Log.DeleteRecords(offset); err != nil {
		if errors.Is(err, segment.ErrOffsetOutOfRange) {
			return -1, wire.CodeOffsetOutOfRange
		}
		return -1, wire.CodeKafkaStorageError
	}
	mustNotFall(p, before)
	c.starts[p.Directory()] = p.Log.LogStartOffset()
	return p.Log.LogStartOffset(), 0
}

// KeepStarts makes the moved starts of logs durable, deletes the segments below them, and calls done on the loop. After an error
// the records are gone only until the next start.
func (c *Catalog) KeepStarts(moved []*Partition, done func(error)) {
	c.startsFile.write(func(err error) {
		if err != nil {
			mark.Hit("the new start of a log could not be written")
			c.loop.Log.Error("the start offsets of logs could not be written", "error", err, "remedy", commit.StorageRemedy(err))
			done(err)
			return
		}
		var removals []func() error
		for _, p := range moved {
			mark.HitIf(!c.serves(p), "a topic was deleted while the new start of its log was written")
			if c.serves(p) { // it may have been deleted meanwhile
				removals = c.expireOne(p, removals)
			}
		}
		c.RemoveFiles(removals)
		done(nil)
	})
}

// dropStarts drops the moved starts of logs that are gone: later logs of their names would begin there.
func (c *Catalog) dropStarts(gone func(topic string, index int32) bool) (dropped bool) {
	for directory := range c.starts {
		if topic, index, ok := ParseDirectory(directory); ok && gone(topic, index) {
			delete(c.starts, directory)
			dropped = true
		}
	}
	return dropped
}

func (c *Catalog) snapshotStarts() (write func() error, written func()) {
	fs, path, starts := c.config.FS, filepath.Join(c.config.Dir, segment.LogStartFile), maps.Clone(c.starts)
	return func() error { return segment.WriteCheckpoint(fs, path, starts) }, nil
}
