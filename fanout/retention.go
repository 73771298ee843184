package fanout

import (
	"errors"
	"maps"
	"path/filepath"

	"oneplusn/segment"
)

// expireSegments takes out of every log what its retention no longer keeps. That is cheap; the files are removed in the
// background, and a response under way keeps the ones that it sends.
func (b *Broker) expireSegments() {
	now := b.loop.UnixMillis()
	var removals []func() error
	for _, tp := range b.topics.byName {
		for p := range tp.served() {
			if remove := b.expireOne(p, now); remove != nil {
				removals = append(removals, remove)
			}
		}
	}
	b.removeFiles(removals)
}

func (b *Broker) expireOne(p *partition, nowMillis int64) (remove func() error) {
	before := p.log.LogStartOffset()
	remove = p.log.Expire(nowMillis)
	if remove != nil {
		b.loop.Log.Info("old segments are deleted", "topic", p.topic.name, "partition", p.index,
			"start_before", before, "start_offset", p.log.LogStartOffset())
	}
	b.logWork(p)
	return remove
}

func (b *Broker) removeFiles(removals []func() error) {
	if len(removals) == 0 {
		return
	}
	var errs []error
	b.loop.Go(func() {
		for _, remove := range removals {
			errs = append(errs, remove())
		}
	}, func() {
		if err := errors.Join(errs...); err != nil {
			b.loop.Log.Error("old segments could not be removed", "error", err,
				"remedy", "remove the files that end in .deleted by hand when the file system allows it")
		}
	})
}

// writeStarts says what is to be written down of the logs whose start was moved by DeleteRecords.
func (t *topics) writeStarts() (work func() error, written func()) {
	fs, path, starts := t.fs, filepath.Join(t.dir, segment.LogStartFile), maps.Clone(t.starts)
	return func() error { return segment.WriteCheckpoint(fs, path, starts) }, nil
}
