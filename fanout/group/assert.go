package group

import (
	"fmt"

	"oneplusn/segment/invariants"
)

// checkOften walks everything at every output of a small coordinator, if invariants are checked. Only tests of memory
// make a larger one.
func (c *Coordinator) checkOften() {
	const small = 64 << 10
	if invariants.Enabled && c.budget.Used() < small {
		if err := c.check(); err != nil {
			panic(fmt.Sprintf("group: %v", err))
		}
	}
}

// recount adds up the memory of everything held. It always equals the charge.
func (c *Coordinator) recount() (bytes int64) {
	for _, g := range c.groups.all {
		bytes += g.bytes()
		for m := range g.list.All() {
			bytes += m.bytes()
		}
		for _, p := range g.pending.all {
			bytes += p.bytes()
		}
		bytes += offsetsBytes(&g.commits)
	}
	for _, l := range c.reaper.lists {
		if ofGroup(l) { // a topic's offsets are on the lists of groups too
			bytes += offsetsBytes(l)
		}
	}
	for i := range c.logs {
		for r := range c.logs[i].live.All() {
			if r.dead { // held until its tombstone is written
				bytes += r.source.bytes()
			}
		}
	}
	return bytes
}

// ofGroup reports whether a list of the reaper is a group's, not a topic's.
func ofGroup(l *offsetList) bool { return l.Len() > 0 && l.First().Value().inGroup.In(l) }

func offsetsBytes(l *offsetList) (bytes int64) {
	for o := range l.All() {
		bytes += o.bytes()
	}
	return bytes
}

// check compares the counts with the content.
func (c *Coordinator) check() error {
	if is := c.recount(); is != c.budget.Used() {
		return fmt.Errorf("%d bytes are charged, what is held takes %d", c.budget.Used(), is)
	}
	members, offsets, ids := 0, 0, 0
	for id, g := range c.groups.all {
		if err := g.check(); err != nil {
			return fmt.Errorf("group %q: %w", id, err)
		}
		members, offsets, ids = members+g.list.Len(), offsets+g.commits.Len(), ids+g.pending.len()
	}
	for _, l := range c.reaper.lists {
		if ofGroup(l) {
			offsets += l.Len()
		}
	}
	byTopics := 0
	for name, x := range c.topics.all {
		if byTopics += x.list.Len(); x.list.Len() == 0 || x.deleted {
			return fmt.Errorf("topic %q has %d offsets, deleted: %v", name, x.list.Len(), x.deleted)
		}
	}
	if len(c.reaper.lists) == 0 && byTopics != offsets {
		return fmt.Errorf("%d offsets are listed by topic, %d by group", byTopics, offsets)
	}
	for _, at := range c.present.all {
		ids -= at.ids
	}
	if members != c.counts.Members || offsets != c.counts.Offsets || ids != 0 {
		return fmt.Errorf("%d members and %d offsets, counted %+v; %d ids belong to no connection", members, offsets, c.counts, ids)
	}
	return nil
}

// check compares a group's list of members with its map, and its counts with its content.
func (g *group) check() error {
	joining, syncing, awaited, explicit, record := 0, 0, 0, 0, int64(0)
	for m := range g.list.All() {
		if g.members.get(m.id) != m || m.static() && g.instances.get(m.instanceID) != m {
			return fmt.Errorf("member %q is in the list, but not found by its id or instance id %q", m.id, m.instanceID)
		}
		joining += count(m.join.waits)
		syncing += count(m.awaitingSync)
		record += m.size().record
	}
	for _, p := range g.pending.all {
		awaited += count(p.awaited)
	}
	for o := range g.commits.All() {
		explicit += count(o.expireMillis >= 0)
	}
	switch {
	case g.members.len() != g.list.Len() || g.instances.len() > g.list.Len():
		return fmt.Errorf("%d members in the list, %d in the map, %d by instance", g.list.Len(), g.members.len(), g.instances.len())
	case joining != g.joining || syncing != g.awaitingSync || awaited != g.awaited || explicit != g.explicit || record != g.recordBytes:
		return fmt.Errorf("%d join, counted %d; %d have to sync, counted %d; %d ids are awaited, counted %d; %d offsets with an expiry, "+
			"counted %d; %d bytes of record, counted %d", joining, g.joining, syncing, g.awaitingSync, awaited, g.awaited, explicit,
			g.explicit, record, g.recordBytes)
	case g.state == Empty && g.list.Len() > 0 || (g.state == Completing || g.state == Stable) && g.list.Len() == 0:
		return fmt.Errorf("%d members in state %v", g.list.Len(), g.state)
	case g.removed:
		return fmt.Errorf("it was removed, and can be found")
	}
	return nil
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// asked and answered assert that every request is answered exactly once.
func (q *queue) asked(ticket uint64) {
	if !invariants.Enabled {
		return
	}
	if _, open := q.open[ticket]; open {
		panic(fmt.Sprintf("group: ticket %#x asks again before its answer", ticket))
	}
	if q.open == nil {
		q.open = make(map[uint64]struct{})
	}
	q.open[ticket] = struct{}{}
}

func (q *queue) answered(ticket uint64) {
	if !invariants.Enabled {
		return
	}
	if _, open := q.open[ticket]; !open {
		panic(fmt.Sprintf("group: ticket %#x is answered, but has no open request", ticket))
	}
	delete(q.open, ticket)
}
