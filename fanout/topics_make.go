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
// nothing that the loop owns. After an error the logs of the topic that it returns are still open.
func (n newTopic) make(fs segment.FS, dir string) (*topic, error) {
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
		// Made here: what is there already is somebody else's.
		if err := os.Mkdir(path, 0o755); err != nil {
			return tp, err
		}
		err := tp.open(path, int32(i), segment.OpenOptions{})
		if err == nil && i == 0 {
			err = writeTopicConfig(fs, filepath.Join(path, topicConfigFile), n.config.set)
		}
		if err != nil {
			return tp, err
		}
	}
	return tp, nil
}

// abandon ends the logs of a topic that nobody has seen.
func (tp *topic) abandon() {
	for _, p := range tp.partitions {
		p.log.Delete()
	}
}

// making is what a job has made, or has tried to.
type making struct {
	fs      segment.FS
	dir     string
	made    []*topic
	failed  map[string]error
	removal *removal
	// leftover says that what failed could not be removed again: the removal is to be finished before another try.
	leftover bool
}

// makeAll makes topics one after the other. Should the server end meanwhile, the next start removes all of them: nobody
// was told of any. It blocks.
func makeAll(fs segment.FS, dir string, wanted []newTopic) making {
	m := making{fs: fs, dir: dir, failed: make(map[string]error)}
	var parts []removedPartitions
	for _, w := range wanted {
		if m.failed[w.name] = w.inTheWay(dir); m.failed[w.name] == nil {
			delete(m.failed, w.name)
			parts = append(parts, removedPartitions{w.name, int32(w.first), int32(w.partitions)})
		}
	}
	m.removal = newRemoval(fs, dir, parts)
	if err := m.removal.announce(); err != nil {
		m.failAll(parts, err)
		return m
	}
	for _, w := range wanted {
		if m.failed[w.name] == nil {
			m.makeOne(w)
		}
	}
	if err := m.settle(parts); err != nil {
		// The mark may still be there, and the next start would remove what it names: so all of that is removed now.
		for _, tp := range m.made {
			tp.abandon()
		}
		m.made = nil
		m.failAll(parts, err)
		if err := m.settle(parts); err != nil {
			m.leftover = true
		}
	}
	return m
}

// inTheWay says that there is a file or a directory already with the name of a partition. It is not the server's, and stays.
func (n newTopic) inTheWay(dir string) error {
	for i := n.first; i < n.partitions; i++ {
		path := filepath.Join(dir, fmt.Sprintf("%s-%d", n.name, i))
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			return errors.Join(fmt.Errorf("fanout: %s is in the way: move it out of the data directory", path), err)
		}
	}
	return nil
}

func (m *making) makeOne(w newTopic) {
	tp, err := w.make(m.fs, m.dir)
	if err != nil {
		m.failed[w.name] = err
		tp.abandon()
		return
	}
	m.made = append(m.made, tp)
}

func (m *making) failAll(parts []removedPartitions, err error) {
	for _, p := range parts {
		if m.failed[p.topic] == nil {
			m.failed[p.topic] = err
		}
	}
}

// settle removes what failed, and the mark. Without an error what was made is durable, and no mark names it.
func (m *making) settle(parts []removedPartitions) error {
	var failed []removedPartitions
	for _, p := range parts {
		if m.failed[p.topic] != nil {
			failed = append(failed, p)
		}
	}
	m.removal.narrow(failed)
	aside, err := m.removal.sweep()
	for _, path := range aside {
		_ = m.fs.RemoveAll(path) // or at the next start
	}
	if err == nil {
		return m.removal.withdraw()
	}
	for _, p := range failed {
		m.failed[p.topic] = errors.Join(m.failed[p.topic], err)
	}
	m.leftover = true
	return m.removal.announce()
}

// makeTopics makes topics, or more partitions of topics, when nobody else changes topics of those names, and calls done on
// the loop with the names that failed. plan says what is to be made: it is called on the loop when the turn has come, and
// looks at what there is by then, and takes room for it: see topicRoom.
func (b *Broker) makeTopics(names []string, plan func(job *dirJob) []newTopic, done func(failed map[string]error)) {
	b.topics.changes.enter(names, func(job *dirJob) {
		b.finishLeftovers(job.names, func(stuck map[string]error) {
			wanted := plan(job)
			var free []newTopic
			for _, w := range wanted {
				if stuck[w.name] == nil {
					free = append(free, w)
				} else {
					b.topics.room.give(w.adds())
				}
			}
			b.makePlanned(free, func(failed map[string]error) {
				for name, err := range stuck {
					failed[name] = err
				}
				job.release()
				done(failed)
			})
		})
	})
}

// makePlanned makes topics whose names are held.
func (b *Broker) makePlanned(wanted []newTopic, done func(failed map[string]error)) {
	if len(wanted) == 0 {
		done(make(map[string]error))
		return
	}
	for i := range wanted {
		wanted[i].epoch = b.topics.lives.next
	}
	fs, dir := b.topics.fs, b.topics.dir
	var m making
	b.loop.Go(func() { m = makeAll(fs, dir, wanted) }, func() {
		for _, tp := range m.made {
			b.adopt(tp)
		}
		if m.leftover {
			for name := range m.failed {
				b.topics.unfinished[name] = m.removal
			}
		}
		for i := range wanted {
			if m.failed[wanted[i].name] != nil {
				b.topics.room.give(wanted[i].adds())
			}
		}
		for name, err := range m.failed {
			b.loop.Log.Error("a topic's partitions could not be made", "topic", name, "error", err, "remedy", storageRemedy(err))
		}
		done(m.failed)
	})
}

// finishLeftovers finishes what earlier removals left of topics whose names are held.
func (b *Broker) finishLeftovers(names []string, done func(stuck map[string]error)) {
	var left []*removal
	for _, name := range names {
		if r := b.topics.unfinished[name]; r != nil && !slices.Contains(left, r) {
			left = append(left, r)
		}
	}
	stuck := make(map[string]error)
	var next func()
	next = func() {
		if len(left) == 0 {
			done(stuck)
			return
		}
		r := left[0]
		left = left[1:]
		b.finishRemoval(r, nil, func(err error) {
			for _, p := range r.parts {
				if err != nil {
					stuck[p.topic] = err
				}
			}
			next()
		})
	}
	next()
}

// adopt begins to serve what was made.
func (b *Broker) adopt(made *topic) {
	tp := b.topics.byName[made.name]
	if made.partitions[0].index == 0 {
		if tp != nil {
			panic("fanout: topic " + made.name + " was made though it exists: its name was not held")
		}
		b.topics.byName[made.name] = made
		b.loop.Log.Info("topic created", "topic", made.name, "partitions", len(made.partitions))
		return
	}
	if tp == nil || len(tp.partitions) != int(made.partitions[0].index) {
		panic("fanout: topic " + made.name + " changed while it got partitions: its name was not held")
	}
	for _, p := range made.partitions {
		p.topic = tp
		tp.partitions = append(tp.partitions, p)
	}
	b.loop.Log.Info("partitions added", "topic", tp.name, "partitions", len(tp.partitions))
}
