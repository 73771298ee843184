package catalog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"oneplusn/fanout/commit"
	"oneplusn/segment"
	"oneplusn/segment/mark"
)

// newPartitions are the partitions of a topic that are to be made, from first up to but without end.
type newPartitions struct {
	topic      string
	first, end int
	config     *TopicConfig
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

// creation makes the partitions of all topics of one request. If the server ends before that is done, the next start removes all of
// them: no client was told of any.
type creation struct {
	catalog *Catalog
	change  *change
	plan    func(*change) []newPartitions
	planned []newPartitions
	epoch   int32            // the first leader epoch of new logs
	failed  map[string]error // by topic

	removal *removal // of the planned partitions, until they are made
	made    []*Topic // with the new partitions alone
	// leftover: directories of failed topics could not be removed; that comes first before another attempt.
	leftover bool
}

// create makes partitions once no other change holds the names, and calls done on the loop with the topics that failed. plan is
// called on the loop when the names are held: it sees what exists by then, chooses the partitions, and takes room for them.
func (c *Catalog) create(names []string, plan func(*change) []newPartitions, done func(failed map[string]error)) {
	c.changes.enter(names, func(ch *change) {
		m := &creation{catalog: c, change: ch, plan: plan, failed: make(map[string]error)}
		inOrder(m.finishLeftovers, m.decide, m.makeAll, m.adopt)(func(error) {
			ch.end()
			done(m.failed)
		})
	})
}

// finishLeftovers is a step that finishes earlier removals of these names.
func (m *creation) finishLeftovers(next func(error)) {
	var steps []step
	var left []*removal
	for _, name := range m.change.names {
		r := m.catalog.unfinished[name]
		if r == nil || slices.Contains(left, r) {
			continue
		}
		mark.Hit("a topic was to be made whose removal was not finished")
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

// decide is a step that plans, and drops topics whose earlier removal is still stuck.
func (m *creation) decide(next func(error)) {
	mark.HitIf(m.catalog.epochs.next > 0, "a topic was made after another was deleted")
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

// makeAll is a step that makes the planned directories and logs.
func (m *creation) makeAll(next func(error)) {
	if len(m.planned) == 0 {
		next(nil)
		return
	}
	offLoop(m.catalog.loop, func() error { m.makePlanned(); return nil })(next)
}

// adopt is a step that puts the new topics and partitions into the table.
func (m *creation) adopt(next func(error)) {
	c := m.catalog
	c.loop.Record(eventCreate, int64(len(m.made)), int64(len(m.failed)))
	for _, tp := range m.made {
		c.adopt(m.change, tp)
	}
	for i := range m.planned {
		n := &m.planned[i]
		err := m.failed[n.topic]
		if err == nil {
			continue
		}
		mark.HitIf(m.leftover, "what was made of a topic could not be removed")
		mark.HitIf(!m.leftover, "a topic could not be made, and nothing of it was left")
		if m.leftover {
			c.unfinished[n.topic] = m.removal
		}
		c.room.give(n.counted())
		c.loop.Log.Error("a topic's partitions could not be made", "topic", n.topic, "error", err, "remedy", commit.StorageRemedy(err))
	}
	next(nil)
}

// adopt begins to serve a topic, or partitions that were added to one.
func (c *Catalog) adopt(ch *change, made *Topic) {
	first := int(made.Partitions[0].Index)
	tp := c.byName[made.Name]
	if !ch.holds(made.Name) || first == 0 && tp != nil || first > 0 && (tp == nil || len(tp.Partitions) != first) {
		panic(fmt.Sprintf("catalog: topic %s changed while its partitions from %d on were made: its name was not reserved", made.Name, first))
	}
	if first == 0 {
		c.add(made)
		c.loop.Log.Info("topic created", "topic", made.Name, "partitions", len(made.Partitions))
		return
	}
	mark.Hit("a topic got more partitions")
	for _, p := range made.Partitions {
		tp.add(p)
	}
	c.loop.Log.Info("partitions added", "topic", tp.Name, "partitions", len(tp.Partitions))
}

// makePlanned makes topics one after the other. It blocks, and touches nothing that the loop owns. A topic without an entry in
// failed is durable afterwards, and no mark names it.
func (m *creation) makePlanned() {
	config := &m.catalog.config
	var parts []removedPartitions
	for i := range m.planned {
		n := &m.planned[i]
		if err := n.inTheWay(config.FS, config.Dir); err != nil {
			m.failed[n.topic] = err
			continue
		}
		parts = append(parts, removedPartitions{n.topic, int32(n.first), int32(n.end)})
	}
	m.removal = m.catalog.newRemoval(parts)
	if err := m.removal.announce(); err != nil {
		m.fail(parts, err)
		return
	}
	for i := range m.planned {
		n := &m.planned[i]
		if m.failed[n.topic] != nil {
			continue
		}
		if n.id == [16]byte{} {
			m.catalog.loop.Random(n.id[:])
		}
		tp, err := n.make(config.FS, config.Dir, m.epoch)
		if err != nil {
			m.failed[n.topic] = err
			tp.abandon()
			continue
		}
		m.made = append(m.made, tp)
	}
	if err := m.settle(parts); err != nil {
		// The mark may still exist, and the next start would remove the topics that it names: so all of them are removed now.
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
func (n *newPartitions) inTheWay(fsys segment.FS, dir string) error {
	for i := n.first; i < n.end; i++ {
		path := n.path(dir, i)
		if _, err := fsys.Stat(path); !errors.Is(err, os.ErrNotExist) {
			return errors.Join(fmt.Errorf("%s is in the way: move it out of the data directory", path), err)
		}
	}
	return nil
}

// make makes a topic's directories and logs, and writes its configuration. After an error the logs of the returned topic are
// still open.
func (n *newPartitions) make(fs segment.FS, dir string, epoch int32) (*Topic, error) {
	config := *n.config
	config.Options.TopicID, config.Options.LeaderEpoch = n.id, epoch
	tp := &Topic{Name: n.topic, Config: &config, Internal: n.internal}
	for i := n.first; i < n.end; i++ {
		path := n.path(dir, i)
		if err := fs.Mkdir(path); err != nil { // and not MkdirAll: an existing one is not the server's
			return tp, err
		}
		p, err := config.openPartition(n.topic, path, int32(i), segment.OpenOptions{})
		if err != nil {
			return tp, err
		}
		p.Topic = tp
		tp.Partitions = append(tp.Partitions, p)
		if i == 0 {
			err = writeTopicConfig(fs, filepath.Join(path, TopicConfigFile), n.config.set)
		}
		if err != nil {
			return tp, err
		}
	}
	return tp, nil
}

// abandon ends the logs of a topic that was never served.
func (tp *Topic) abandon() {
	for _, p := range tp.Partitions {
		p.Log.Delete()
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
		_ = m.catalog.config.FS.RemoveAll(path) // or at the next start
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
