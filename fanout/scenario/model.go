package scenario

// place names a record's place in a partition for ever.
type place struct {
	topic     string
	partition int32
	offset    int64
}

// written is what is known of a record that a producer sent.
type written struct {
	id     string
	sentAt int // the life
	acked  bool
	lost   bool // it may be: the power went before it was durable
	at     place
}

// model is what the clients know together.
type model struct {
	world   *World
	records map[string]*written
	order   []*written
	at      map[place]string // what readers saw there
}

func newModel(w *World) *model {
	return &model{world: w, records: make(map[string]*written), at: make(map[place]string)}
}

// sent says that a record is on its way.
func (m *model) sent(id string) {
	r := &written{id: id}
	m.records[id] = r
	m.order = append(m.order, r)
}

// acknowledged says that the server promised a record.
func (m *model) acknowledged(id string, at place) {
	r := m.records[id]
	if r.acked {
		m.world.fail("record %s is acknowledged twice", id)
	}
	r.acked, r.at = true, at
	m.see(id, at)
}

// see compares what is at a place with what was there before.
func (m *model) see(id string, at place) {
	if was, ok := m.at[at]; ok && was != id {
		m.world.fail("%s/%d has %s at offset %d, where %s was", at.topic, at.partition, id, at.offset, was)
	}
	m.at[at] = id
}

// read says that a reader got a record.
func (m *model) read(id string, at place) {
	if m.records[id] == nil {
		m.world.fail("%s/%d has %q at offset %d, which nobody sent", at.topic, at.partition, id, at.offset)
		return
	}
	m.see(id, at)
}

// audit compares what a reader found from the beginning to the end with what was promised.
func (m *model) audit(found map[string]place) {
	for _, r := range m.order {
		at, ok := found[r.id]
		switch {
		case r.acked && !r.lost && !ok:
			m.world.fail("record %s was acknowledged at %s/%d offset %d, and is gone", r.id, r.at.topic, r.at.partition, r.at.offset)
		case r.acked && !r.lost && at != r.at:
			m.world.fail("record %s was acknowledged at offset %d, and is at %d", r.id, r.at.offset, at.offset)
		}
	}
}

// powerLost forgets what was not durable.
func (m *model) powerLost() {
	if m.world.fsync == "always" {
		return
	}
	clear(m.at)
	for _, r := range m.order {
		r.lost = true
	}
}
