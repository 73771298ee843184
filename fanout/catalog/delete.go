package catalog

import (
	"fmt"
	"slices"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/mark"
)

// DeleteTopics deletes topics with all of their partitions, or none of them if the deletion cannot be recorded on disk. done gets
// an error code for each name, on the loop. Names are distinct.
func (c *Catalog) DeleteTopics(names []string, done func(codes []int16)) {
	c.changes.enter(c.existing(names), func(ch *change) {
		codes := make([]int16, len(names))
		d := &deletion{catalog: c}
		for i, name := range names {
			switch tp := c.byName[name]; {
			case tp == nil || !ch.holds(name): // it did not exist when the request came
				codes[i] = UnknownTopic(name)
			case tp.Internal:
				codes[i] = wire.CodeInvalidTopic
			case tp.Offline() > 0: // its files may be all that is left of the records
				mark.Hit("a topic with damaged partitions was not deleted")
				codes[i] = wire.CodeKafkaStorageError
			default:
				d.topics = append(d.topics, tp)
			}
		}
		d.run(func(err error) {
			for i := range codes {
				if codes[i] == 0 && err != nil {
					codes[i] = wire.CodeKafkaStorageError
				}
			}
			ch.end()
			done(codes)
		})
	})
}

// UnknownTopic is the error for a topic that does not exist, or that cannot.
func UnknownTopic(name string) int16 {
	if wire.TopicNameError([]byte(name)) != nil {
		return wire.CodeInvalidTopic
	}
	return wire.CodeUnknownTopicOrPartition
}

// existing are the names that a request about existing topics reserves: names of topics and of running or waiting changes. A
// request may name a hundred thousand others.
func (c *Catalog) existing(names []string) (found []string) {
	for _, name := range names {
		if c.byName[name] != nil || c.changes.has(name) {
			found = append(found, name)
		}
	}
	return found
}

// deletion deletes topics whose names a change holds.
type deletion struct {
	catalog *Catalog
	topics  []*Topic
	removal *removal
	marked  bool // the mark of the removal is durable
}

// run is a step. After an error all of the topics still exist.
func (d *deletion) run(next func(error)) {
	if len(d.topics) == 0 {
		next(nil)
		return
	}
	c := d.catalog
	var parts []removedPartitions
	for _, tp := range d.topics {
		parts = append(parts, removedPartitions{tp.Name, 0, int32(len(tp.Partitions))})
	}
	d.removal = c.newRemoval(parts)
	inOrder(c.epochs.reserveFor(d.topics).orIfFull(), offLoop(c.loop, d.announce).orIfFull())(func(err error) {
		if err != nil {
			mark.Hit("a topic stayed because its deletion could not be noted")
			c.loop.Log.Error("topics could not be deleted, they stay", "topics", len(d.topics), "first", d.topics[0].Name, "error", err,
				"remedy", commit.StorageRemedy(err))
			next(err)
			return
		}
		// From here on they are deleted, and stay so: a later attempt finishes the rest. The next start knows only from the mark.
		f := &finishing{catalog: c, removal: d.removal, gone: d.forget()}
		f.run(func(err error) {
			if d.marked {
				err = nil
			}
			next(err)
		})
	})
}

// announce blocks.
func (d *deletion) announce() error {
	err := d.removal.announce()
	d.marked = err == nil
	return err
}

// forget takes the topics out of the table, answers the requests that wait for them, and ends their logs. Their directories stay.
func (d *deletion) forget() (gone []*segment.Deleted) {
	c := d.catalog
	c.loop.Record(eventDelete, int64(len(d.topics)))
	c.epochs.raise(c.epochs.above(d.topics))
	for _, tp := range d.topics {
		if c.byName[tp.Name] != tp {
			panic(fmt.Sprintf("catalog: topic %s changed while it was deleted: its name was not reserved", tp.Name))
		}
		delete(c.byName, tp.Name)
		c.sorted = nil
		c.deleted(tp.Name)
		// The last one first: without the mark a crash leaves a topic with fewer partitions, not one with a gap.
		for _, p := range slices.Backward(tp.Partitions) {
			delete(c.starts, p.Directory()) // the next log of this name would begin there
			c.fetcher.Remove(&p.Fetch)
			c.committer.Remove(&p.Commit, commit.ErrRemoved)
			gone = append(gone, p.Log.Delete())
		}
		c.room.give(tp.counted())
		c.loop.Log.Info("topic deleted", "topic", tp.Name, "partitions", len(tp.Partitions))
	}
	return gone
}
