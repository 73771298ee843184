package fanout

import (
	"errors"
	"maps"
	"path/filepath"
	"time"

	"oneplusn/segment"
)

// wallMillis is the time of day that records and retention go by.
func (b *Broker) wallMillis() int64 { return time.Now().UnixMilli() }

// expireSegments takes out of every log what its retention no longer keeps. That is cheap; the files are removed in the
// background, and a response under way keeps the ones that it sends.
func (b *Broker) expireSegments() {
	now := b.wallMillis()
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
		b.log.Info("old segments are deleted", "topic", p.topic.name, "partition", p.index,
			"start_before", before, "start_offset", p.log.LogStartOffset())
	}
	b.logWork(p)
	return remove
}

func (b *Broker) removeFiles(removals []func() error) {
	if len(removals) == 0 {
		return
	}
	b.background(func() func() {
		var errs []error
		for _, remove := range removals {
			errs = append(errs, remove())
		}
		err := errors.Join(errs...)
		return func() {
			if err != nil {
				b.log.Error("old segments could not be removed", "error", err,
					"remedy", "remove the files that end in .deleted by hand when the file system allows it")
			}
		}
	})
}

// fileWork runs changes of the data directory's own files one after the other, in the order of the calls: each starts
// from what the one before it left. begin runs on the loop when the turn has come; the work that it returns, if any, in
// the background; and what that returns on the loop. The line is as long as there are connections, each of which asks
// for one change at a time.
func (b *Broker) fileWork(begin func() (work func() (finish func()))) {
	b.filing = append(b.filing, begin)
	if len(b.filing) == 1 {
		b.nextFileWork()
	}
}

func (b *Broker) nextFileWork() {
	for len(b.filing) > 0 {
		if work := b.filing[0](); work != nil {
			b.background(func() func() {
				finish := work()
				return func() {
					finish()
					b.filing = b.filing[1:]
					b.nextFileWork()
				}
			})
			return
		}
		b.filing = b.filing[1:]
	}
	b.filing = nil
}

// writeLogStarts writes down where logs begin whose start was moved by DeleteRecords, and calls done on the loop.
func (b *Broker) writeLogStarts(done func(error)) {
	b.fileWork(func() func() func() {
		starts := maps.Clone(b.topics.starts)
		path := filepath.Join(b.topics.dir, segment.LogStartFile)
		return func() func() {
			err := segment.WriteCheckpoint(segment.OS, path, starts)
			return func() { done(err) }
		}
	})
}
