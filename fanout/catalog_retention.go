package fanout

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// expireSegments removes from every log what its retention no longer keeps. That is cheap: the files go in the background, and
// a response under way keeps those that it sends.
func (c *catalog) expireSegments() {
	var removals []func() error
	for _, tp := range c.byName {
		for p := range tp.online() {
			removals = c.expireOne(p, removals)
		}
	}
	c.removeFiles(removals)
}

// expireOne adds the removal of the files that a log gives up.
func (c *catalog) expireOne(p *partition, removals []func() error) []func() error {
	before := p.log.LogStartOffset()
	if remove := p.log.Expire(c.loop.UnixMillis()); remove != nil {
		c.loop.Log.Info("old segments are deleted", "topic", p.topic.name, "partition", p.index,
			"start_before", before, "start_offset", p.log.LogStartOffset())
		removals = append(removals, remove)
	}
	checkRise(p, before)
	c.follower.logWork(p)
	return removals
}

func checkRise(p *partition, before int64) {
	if start := p.log.LogStartOffset(); start < before {
		panic(fmt.Sprintf("fanout: the start of %s fell from offset %d to %d", p.directory(), before, start))
	}
}

func (c *catalog) removeFiles(removals []func() error) {
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

// deleteRecords moves the start of a log, -1 for its high watermark. Until [catalog.keepStarts] has ended a crash undoes it.
func (c *catalog) deleteRecords(p *partition, offset int64) (lowWatermark int64, code int16) {
	if p.topic.internal {
		return -1, wire.CodeInvalidTopic
	}
	if offset == -1 {
		offset = p.log.HighWatermark()
	}
	before := p.log.LogStartOffset()
	if err := p.log.DeleteRecords(offset); err != nil {
		if errors.Is(err, segment.ErrOffsetOutOfRange) {
			return -1, wire.CodeOffsetOutOfRange
		}
		return -1, wire.CodeKafkaStorageError
	}
	checkRise(p, before)
	c.starts[p.directory()] = p.log.LogStartOffset()
	return p.log.LogStartOffset(), 0
}

// keepStarts writes the moved starts of logs down, gives up the files below them, and calls done on the loop. After an error
// the records are gone only until the next start.
func (c *catalog) keepStarts(moved []*partition, done func(error)) {
	c.startsFile.write(func(err error) {
		if err != nil {
			c.loop.Log.Error("the start of logs could not be written down", "error", err, "remedy", commit.StorageRemedy(err))
			done(err)
			return
		}
		var removals []func() error
		for _, p := range moved {
			if c.serves(p) { // it may have been deleted meanwhile
				removals = c.expireOne(p, removals)
			}
		}
		c.removeFiles(removals)
		done(nil)
	})
}

// dropStarts drops the moved starts of logs that are gone: later logs of their names would begin there.
func (c *catalog) dropStarts(gone func(topic string, index int32) bool) (dropped bool) {
	for directory := range c.starts {
		if topic, index, ok := parseDirectory(directory); ok && gone(topic, index) {
			delete(c.starts, directory)
			dropped = true
		}
	}
	return dropped
}

func (c *catalog) snapshotStarts() (write func() error, written func()) {
	fs, path, starts := c.config.fs, filepath.Join(c.config.dir, segment.LogStartFile), maps.Clone(c.starts)
	return func() error { return segment.WriteCheckpoint(fs, path, starts) }, nil
}
