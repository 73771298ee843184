package fanout

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"oneplusn/segment"
)

// newTopic is a topic to be made, or its partitions from first on.
type newTopic struct {
	name       string
	partitions int
	config     *topicConfig
	first      int
	id         [16]byte // zero for one that is to be drawn
	epoch      int32    // the first leader epoch: see lives
}

// make makes a topic's directories and logs, and writes its configuration down. It runs off the loop and touches
// nothing that the loop owns. On an error nothing is left behind.
func (n newTopic) make(dir string) (*topic, error) {
	tp := &topic{name: n.name, config: n.config, internal: n.name == offsetsTopic}
	id := n.id
	if id == [16]byte{} {
		_, _ = rand.Read(id[:])
	}
	options := *n.config
	options.options.TopicID, options.options.LeaderEpoch = id, n.epoch
	tp.config = &options
	for i := n.first; i < n.partitions; i++ {
		path := filepath.Join(dir, fmt.Sprintf("%s-%d", n.name, i))
		// Made here, so that a partition that cannot be opened is known to be ours to remove.
		if err := os.Mkdir(path, 0o755); err != nil {
			return nil, errors.Join(err, removeTopic(tp))
		}
		err := tp.open(path, int32(i), segment.OpenOptions{})
		if err != nil {
			err = errors.Join(err, os.RemoveAll(path))
		} else if i == 0 {
			err = writeTopicConfig(filepath.Join(path, topicConfigFile), n.config.set)
		}
		if err != nil {
			return nil, errors.Join(err, removeTopic(tp))
		}
	}
	return tp, nil
}

// removeTopic removes the files of a topic that nobody has seen.
func removeTopic(tp *topic) error {
	var errs []error
	// The last one first: what a crash leaves then is a topic with fewer partitions, not one with a gap.
	for _, p := range slices.Backward(tp.partitions) {
		gone := p.log.Delete()
		err := gone.MoveAside()
		if err == nil {
			err = gone.Remove()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// makeLogs makes topics, or more partitions of topics, in the background, and calls done on the loop with the names that
// failed. None of the names may be in the making, and those of whole topics must be valid and not exist.
func (b *Broker) makeLogs(wanted []newTopic, done func(failed map[string]error)) {
	for i := range wanted {
		b.topics.making[wanted[i].name] = true
		wanted[i].epoch = b.topics.lives.next
	}
	dir := b.topics.dir
	b.background(func() func() {
		made, failed := make([]*topic, 0, len(wanted)), map[string]error{}
		for _, w := range wanted {
			tp, err := w.make(dir)
			if err != nil {
				failed[w.name] = err
				continue
			}
			made = append(made, tp)
		}
		return func() {
			for _, w := range wanted {
				delete(b.topics.making, w.name)
			}
			for _, tp := range made {
				if err := b.adopt(tp); err != nil {
					failed[tp.name] = err
				}
			}
			for name, err := range failed {
				b.log.Error("a topic's partitions could not be made", "topic", name, "error", err)
			}
			done(failed)
		}
	})
}

// adopt begins to serve what was made.
func (b *Broker) adopt(tp *topic) error {
	if tp.partitions[0].index > 0 {
		return b.joinPartitions(tp)
	}
	b.topics.byName[tp.name] = tp
	b.log.Info("topic created", "topic", tp.name, "partitions", len(tp.partitions))
	return nil
}

// joinPartitions gives the partitions of more to the topic of that name, which may have been deleted meanwhile.
func (b *Broker) joinPartitions(more *topic) error {
	tp := b.topics.byName[more.name]
	if tp == nil || len(tp.partitions) != int(more.partitions[0].index) {
		b.deletePartitions(more)
		return fmt.Errorf("topic %s was deleted meanwhile", more.name)
	}
	for _, p := range more.partitions {
		p.topic = tp
		p.log.Configure(tp.config.options)
		p.policy = tp.config.flush
		tp.partitions = append(tp.partitions, p)
	}
	b.log.Info("partitions added", "topic", tp.name, "partitions", len(tp.partitions))
	return nil
}
