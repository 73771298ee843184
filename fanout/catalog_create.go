package fanout

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"oneplusn/fanout/commit"
	"oneplusn/segment"
)

// newPartitions are the partitions of a topic that are to be made, from first up to but without end.
type newPartitions struct {
	topic      string
	first, end int
	config     *topicConfig
	id         [16]byte // the topic's; zero for a new one
	internal   bool
}

// counted is how many partitions take room.
func (n *newPartitions) counted() int {
	if n.internal {
		return 0
	}
	return n.end - n.first
}

func (n *newPartitions) path(dir string, index int) string {
	return filepath.Join(dir, fmt.Sprintf("%s-%d", n.topic, index))
}

// creation makes partitions, all of the topics that one request names. Should the server end before it has ended, the next
// start removes all of them: nobody was told of any.
type creation struct {
	catalog *catalog
	change  *dirChange
	plan    func(*dirChange) []newPartitions
	planned []newPartitions
	epoch   int32            // the first leader epoch of what is made
	failed  map[string]error // by topic

	removal *removal // of what is planned, as long as it is not made
	made    []*topic // with the new partitions alone
	// leftover says that what failed could not be removed: that has to be finished before another try.
	leftover bool
}

// create makes partitions once no other change holds the names, and calls done on the loop with the topics that failed. plan
// says what to make, and takes room for it: it is called on the loop when the names are held, and sees what exists by then.
func (c *catalog) create(names []string, plan func(*dirChange) []newPartitions, done func(failed map[string]error)) {
	c.changes.enter(names, func(ch *dirChange) {
		m := &creation{catalog: c, change: ch, plan: plan, failed: make(map[string]error)}
		inOrder(m.finishLeftovers, m.decide, m.makeAll, m.adopt)(func(error) {
			ch.end()
			done(m.failed)
		})
	})
}

// finishLeftovers is a step that finishes what earlier removals have left of the names.
func (m *creation) finishLeftovers(next func(error)) {
	var steps []step
	var left []*removal
	for _, name := range m.change.names {
		r := m.catalog.unfinished[name]
		if r == nil || slices.Contains(left, r) {
			continue
		}
		left = append(left, r)
		steps = append(steps, func(next func(error)) {
			(&finishing{catalog: m.catalog, removal: r}).run(func(err error) {
				for i := 0; i < len(r.parts) && err != nil; i++ {
					m.failed[r.parts[i].topic] = err
				}
				next(nil)
			})
		})
	}
	inOrder(steps...)(next)
}

// decide is a step that says what is made: what is planned, without the topics whose leftovers are stuck.
func (m *creation) decide(next func(error)) {
	m.epoch = m.catalog.epochs.next
	for _, n := range m.plan(m.change) {
		if m.failed[n.topic] != nil {
			m.catalog.room.give(n.counted())
			continue
		}
		m.planned = append(m.planned, n)
	}
	next(nil)
}

// makeAll is a step that makes the directories and logs of what is planned.
func (m *creation) makeAll(next func(error)) {
	if len(m.planned) == 0 {
		next(nil)
		return
	}
	offLoop(m.catalog.loop, func() error { m.makePlanned(); return nil })(next)
}

// adopt is a step that begins to serve what was made.
func (m *creation) adopt(next func(error)) {
	c := m.catalog
	for _, tp := range m.made {
		c.adopt(m.change, tp)
	}
	for i := range m.planned {
		n := &m.planned[i]
		err := m.failed[n.topic]
		if err == nil {
			continue
		}
		if m.leftover {
			c.unfinished[n.topic] = m.removal
		}
		c.room.give(n.counted())
		c.loop.Log.Error("a topic's partitions could not be made", "topic", n.topic, "error", err, "remedy", commit.StorageRemedy(err))
	}
	next(nil)
}

// adopt begins to serve a topic, or partitions that were added to one.
func (c *catalog) adopt(ch *dirChange, made *topic) {
	first := int(made.partitions[0].index)
	tp := c.byName[made.name]
	if !ch.holds(made.name) || first == 0 && tp != nil || first > 0 && (tp == nil || len(tp.partitions) != first) {
		panic(fmt.Sprintf("fanout: topic %s changed while its partitions from %d on were made: its name was not reserved", made.name, first))
	}
	if first == 0 {
		c.add(made)
		c.loop.Log.Info("topic created", "topic", made.name, "partitions", len(made.partitions))
		return
	}
	for _, p := range made.partitions {
		tp.add(p)
	}
	c.loop.Log.Info("partitions added", "topic", tp.name, "partitions", len(tp.partitions))
}

// makePlanned makes topics one after the other. It blocks, and touches nothing that the loop owns. Without an entry in failed
// what was made is durable, and no mark names it.
func (m *creation) makePlanned() {
	config := &m.catalog.config
	var parts []removedPartitions
	for i := range m.planned {
		n := &m.planned[i]
		if err := n.inTheWay(config.dir); err != nil {
			m.failed[n.topic] = err
			continue
		}
		parts = append(parts, removedPartitions{n.topic, int32(n.first), int32(n.end)})
	}
	m.removal = newRemoval(config.fs, config.dir, parts)
	if err := m.removal.announce(); err != nil {
		m.fail(parts, err)
		return
	}
	for i := range m.planned {
		if m.failed[m.planned[i].topic] == nil {
			m.makeOne(&m.planned[i])
		}
	}
	if err := m.settle(parts); err != nil {
		// The mark may still be there, and the next start would remove what it names: so all of that is removed now.
		for _, tp := range m.made {
			tp.abandon()
		}
		m.made = nil
		m.fail(parts, err)
		if err := m.settle(parts); err != nil {
			m.leftover = true
		}
	}
}

// inTheWay is an error if a partition's name is taken by a file or directory. It is not the server's, and stays.
func (n *newPartitions) inTheWay(dir string) error {
	for i := n.first; i < n.end; i++ {
		path := n.path(dir, i)
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			return errors.Join(fmt.Errorf("fanout: %s is in the way: move it out of the data directory", path), err)
		}
	}
	return nil
}

func (m *creation) makeOne(n *newPartitions) {
	tp, err := n.make(m.catalog.config.fs, m.catalog.config.dir, m.epoch)
	if err != nil {
		m.failed[n.topic] = err
		tp.abandon()
		return
	}
	m.made = append(m.made, tp)
}

// make makes a topic's directories and logs, and writes its configuration down. After an error the logs of the topic that it
// returns are still open.
func (n *newPartitions) make(fs segment.FS, dir string, epoch int32) (*topic, error) {
	config := *n.config
	if config.options.TopicID = n.id; n.id == [16]byte{} {
		_, _ = rand.Read(config.options.TopicID[:])
	}
	config.options.LeaderEpoch = epoch
	tp := &topic{name: n.topic, config: &config, internal: n.internal}
	for i := n.first; i < n.end; i++ {
		path := n.path(dir, i)
		if err := os.Mkdir(path, 0o755); err != nil { // and not [os.MkdirAll]: an existing one is not the server's
			return tp, err
		}
		p, err := config.openPartition(n.topic, path, int32(i), segment.OpenOptions{})
		if err != nil {
			return tp, err
		}
		p.topic = tp
		tp.partitions = append(tp.partitions, p)
		if i == 0 {
			err = writeTopicConfig(fs, filepath.Join(path, topicConfigFile), n.config.set)
		}
		if err != nil {
			return tp, err
		}
	}
	return tp, nil
}

// abandon ends the logs of a topic that was never served.
func (tp *topic) abandon() {
	for _, p := range tp.partitions {
		p.log.Delete()
	}
}

func (m *creation) fail(parts []removedPartitions, err error) {
	for _, p := range parts {
		if m.failed[p.topic] == nil {
			m.failed[p.topic] = err
		}
	}
}

// settle removes what failed, and the mark.
func (m *creation) settle(parts []removedPartitions) error {
	var failed []removedPartitions
	for _, p := range parts {
		if m.failed[p.topic] != nil {
			failed = append(failed, p)
		}
	}
	m.removal.narrow(failed)
	aside, err := m.removal.sweep()
	for _, path := range aside {
		_ = m.catalog.config.fs.RemoveAll(path) // or at the next start
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
