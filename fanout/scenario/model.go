package scenario

import (
	"slices"
	"strconv"
	"time"

	"oneplusn/fanout/wire"
)

// model is what all clients together know of the topics, and what the server may therefore say and not say.
type model struct {
	world   *World
	topics  []*topic
	records map[string]*record // by id
	ids     map[int64]bool     // of idempotent producers
}

// topic is a name, which may be a topic's, and after that one's deletion another's.
type topic struct {
	world *World
	name  string
	// partitions is their number; 0 while there is no such topic.
	partitions *fact[int32]
	logs       []*partition
	// deletions is how often somebody has asked for the topic's deletion: what was asked for before then may be gone.
	deletions int
}

// partition is what is known of a partition, of all the topics of that name.
type partition struct {
	topic *topic
	index int32
	// at is what readers found, for ever: an offset names one record in a leader epoch.
	at map[place]*record
	// acked are the records that are promised, in the order of their acknowledgements.
	acked []*record
	// start is what the log's start may be, by requests to delete records.
	start *fact[int64]
	// end is above every record that the server has acknowledged in the topic as it is now.
	end int64
	// hasZstd: some records may be compressed so, which old clients do not know.
	hasZstd bool
	// mayBeOffline: a loss of power may have left a hole in it, behind which there may be acknowledged batches. The server serves nothing
	// of such a partition until an operator decides (docs/operations.md).
	mayBeOffline bool
}

// place names a record of a partition for ever.
type place struct {
	epoch  int32
	offset int64
}

// record is one that a producer sent.
type record struct {
	id        string
	partition *partition
	deletions int   // of its topic when it was sent
	millis    int64 // the timestamp that it was sent with
	refused   bool  // it must never be read
	acked     bool
	durable   bool // it survives a loss of power
	loose     bool // it may be gone
	offset    int64
}

// refuses reports whether an error says that the partition is offline, and it may be.
func (p *partition) refuses(code int16) bool {
	return code == wire.CodeKafkaStorageError && p.mayBeOffline
}

func newModel(w *World) *model {
	return &model{world: w, records: make(map[string]*record), ids: make(map[int64]bool)}
}

// addTopic makes a name known.
func (m *model) addTopic(name string) *topic {
	t := &topic{world: m.world, name: name, partitions: newFact[int32](0)}
	for i := range maxPartitions {
		t.logs = append(t.logs, &partition{topic: t, index: int32(i), at: make(map[place]*record), start: newFact[int64](0)})
	}
	m.topics = append(m.topics, t)
	return t
}

// maxPartitions is the most that a topic of a run has.
const maxPartitions = 6

// exists reports whether a partition is certain to exist, or to be missing.
func (p *partition) exists() (exists, certain bool) {
	n, certain := p.topic.partitions.certain()
	return n > p.index, certain
}

// lose says which records may be gone: the topic is being deleted, or what was not durable was lost.
func (p *partition) lose(only func(*record) bool) {
	for _, r := range p.acked {
		r.loose = r.loose || only(r)
	}
	p.acked = slices.DeleteFunc(p.acked, func(r *record) bool { return r.loose })
	p.end = 0
	for _, r := range p.acked {
		p.end = max(p.end, r.offset+1)
	}
}

// deleting says that a topic may be gone from here on, with all that it has.
func (t *topic) deleting() {
	t.deletions++
	for _, p := range t.logs {
		p.lose(func(*record) bool { return true })
		p.start.allow(0)
	}
}

// sent says that a record is on its way to a partition. It may be there once: who sends it again is idempotent.
func (m *model) sent(id string, p *partition, millis int64) *record {
	r := &record{id: id, partition: p, deletions: p.topic.deletions, millis: millis}
	m.records[id] = r
	return r
}

// acknowledged says that the server promised a record, of a partition that may not have been there all the time since it was sent.
func (m *model) acknowledged(r *record, offset int64, mayBeMissing bool) {
	switch {
	case r.refused:
		m.world.fail("record %s is acknowledged, which must be refused", r.id)
	case r.acked && r.offset != offset && !r.loose:
		m.world.fail("record %s was acknowledged at offset %d, and now at %d", r.id, r.offset, offset)
	case offset < 0:
		m.world.fail("record %s is acknowledged at offset %d", r.id, offset)
	}
	p := r.partition
	r.acked, r.offset = true, offset
	r.durable = m.world.shape.fsync == "always"
	if mayBeMissing || r.deletions != p.topic.deletions {
		r.loose = true
		return
	}
	p.acked = append(p.acked, r)
	p.end = max(p.end, offset+1)
}

// read says that a reader of a partition got a record.
func (m *model) read(reader string, p *partition, at place, id string, millis int64) {
	r := m.records[id]
	switch {
	case r == nil:
		m.world.fail("%s got of %s at offset %d a record %q, which nobody sent", reader, p, at.offset, id)
		return
	case r.partition != p:
		m.world.fail("%s got of %s at offset %d record %s, which was sent to %s", reader, p, at.offset, id, r.partition)
	case r.refused:
		m.world.fail("%s got of %s at offset %d record %s, which must be refused", reader, p, at.offset, id)
	case r.acked && !r.loose && r.offset != at.offset:
		m.world.fail("%s got of %s at offset %d record %s, which was acknowledged at %d", reader, p, at.offset, id, r.offset)
	case millis != r.millis:
		m.world.fail("%s got of %s at offset %d record %s with timestamp %d, which was sent with %d", reader, p, at.offset, id, millis, r.millis)
	}
	if was := p.at[at]; was != nil && was != r {
		m.world.fail("%s got of %s at offset %d of leader epoch %d record %s, where %s was", reader, p, at.offset, at.epoch, id, was.id)
	}
	p.at[at] = r
}

// powerLost forgets what was not durable.
func (m *model) powerLost() {
	for _, t := range m.topics {
		for _, p := range t.logs {
			p.lose(func(r *record) bool { return !r.durable })
			p.mayBeOffline = p.mayBeOffline || m.world.shape.fsync == "always"
		}
	}
}

// lifeEnded says that nothing is under way in the server any more.
func (m *model) lifeEnded() {
	for _, t := range m.topics {
		t.partitions.settle()
		for _, p := range t.logs {
			p.start.settle()
		}
	}
}

// mayStartAbove reports whether a log's start can be above an offset.
func (p *partition) mayStartAbove(offset int64) bool {
	return slices.Max(p.start.may) > offset
}

// audit compares what a reader found from the start to the end of a partition with what was promised.
func (p *partition) audit(w *World, start int64, found []foundRecord) {
	times := make(map[string]int)
	offsets := make(map[int64]string)
	last := place{-1, start - 1}
	for _, f := range found {
		if times[f.id]++; times[f.id] > 1 {
			w.fail("%s has record %s %d times", p, f.id, times[f.id])
		}
		if f.at.offset != last.offset+1 || f.at.epoch < last.epoch {
			w.fail("%s has offset %d of leader epoch %d behind offset %d of leader epoch %d", p, f.at.offset, f.at.epoch, last.offset, last.epoch)
		}
		last = f.at
		offsets[f.at.offset] = f.id
	}
	for _, r := range p.acked {
		switch id, ok := offsets[r.offset]; {
		case r.offset < start && !p.mayStartAbove(r.offset):
			w.fail("%s begins at %d, and record %s was acknowledged at %d, which nobody deleted", p, start, r.id, r.offset)
		case r.offset >= start && !ok:
			w.fail("%s ends at %d, and record %s was acknowledged at %d", p, last.offset+1, r.id, r.offset)
		case r.offset >= start && id != r.id:
			w.fail("%s has record %s at %d, where %s was acknowledged", p, id, r.offset, r.id)
		}
	}
}

// foundRecord is what an audit finds.
type foundRecord struct {
	id string
	at place
}

// nowMillis is the time of day in the run.
func (w *World) nowMillis() int64 { return w.machine.WallClock(w.machine.Now()).UnixMilli() }

// someTopic draws a topic that exists, if it can.
func (w *World) someTopic(n int) *topic {
	for i := range w.model.topics {
		if t := w.model.topics[(n+i)%len(w.model.topics)]; slices.Max(t.partitions.may) > 0 {
			return t
		}
	}
	return w.model.topics[n%len(w.model.topics)]
}

// patience is how long a client waits before it tries again what failed.
const patience = 50 * time.Millisecond

func (p *partition) String() string { return p.topic.name + "/" + strconv.Itoa(int(p.index)) }

// newProducerID says that the server handed out an id.
func (m *model) newProducerID(id int64) {
	if m.ids[id] || id < 0 {
		m.world.fail("producer id %d is handed out, which another producer has", id)
	}
	m.ids[id] = true
}
