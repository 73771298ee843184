package main

var groupBugs = []mutant{
	{"stale-generation-commits", "a member of an older generation can commit", []edit{
		{"fanout/group/offset_commit.go", `	case req.Generation != g.generation:`, `	case req.Generation > g.generation:`},
	}},
	{"stale-generation-heartbeats", "a member of an older generation keeps its session by heartbeats", []edit{
		{"fanout/group/sync.go", `	if generation != g.generation {`, `	if generation > g.generation {`},
	}},
	{"commit-between-generations", "a member can commit while its partitions may have a new owner", []edit{
		{"fanout/group/offset_commit.go", `	if g.state == Completing {`, `	if g.state == Empty {`},
	}},
	{"dead-member-kept", "a member that sends nothing is never removed", []edit{
		{"fanout/group/member.go", `	if m.sync.waits || m.join.waits && m.joinedOnce {`, `	if m.sync.waits || m.joinedOnce {`},
	}},
	{"heartbeat-does-not-count", "a member that heartbeats is removed", []edit{
		{"fanout/group/sync.go", `		m.alive(now)
		if g.state == Preparing {`, `		if g.state == Preparing {`},
	}},
	{"dead-member-without-rebalance", "the partitions of a member that died stay without an owner", []edit{
		{"fanout/group/member.go", `	c.counts.Expired++
	c.leave(m.group, m, now)`, `	c.counts.Expired++
	c.removeMember(m.group, m)`},
	}},
	{"leave-without-rebalance", "the partitions of a member that left stay without an owner", []edit{
		{"fanout/group/leave.go", `	c.leave(g, m, now)
	return 0`, `	c.removeMember(g, m)
	return 0`},
	}},
	{"rebalance-waits-for-ever", "a rebalance waits for members that do not come back", []edit{
		{"fanout/group/rebalance.go", `	c.timers.start(&g.phase, c.gather(now, g, fromEmpty))`, `	if until := c.gather(now, g, fromEmpty); g.gathering.active {
		c.timers.start(&g.phase, until)
	}`},
	}},
	{"rebalance-ends-too-early", "a rebalance ends before members that are alive have joined", []edit{
		{"fanout/group/rebalance.go", `g.joining == g.list.Len() && g.awaited == 0 {`, `g.joining > 0 {`},
	}},
	{"unsynced-member-kept", "a member that does not come for its assignment stays", []edit{
		{"fanout/group/rebalance.go", `		c.dropUnsynced(now, g)
	}
}`, `	}
}`},
	}},
	{"assignment-of-another-member", "two members get one assignment", []edit{
		{"fanout/group/sync.go", `m.assignment = bytes.Clone(assignment[i].MemberAssignment)`, `m.assignment = bytes.Clone(assignment[0].MemberAssignment)`},
	}},
	{"assignment-before-the-leader", "a member gets an empty assignment before the leader has assigned", []edit{
		{"fanout/group/sync.go", `	if g.state == Stable {
		c.replySync`, `	if g.state == Stable || m.id != g.leader {
		c.replySync`},
	}},
	{"assignment-of-the-last-generation", "a member keeps its assignment of the last generation", []edit{
		{"fanout/group/rebalance.go", `		m.assignment = nil
		c.resize`, `		c.resize`},
		{"fanout/group/sync.go", `	if g.state == Stable {
		c.replySync`, `	if g.state == Stable || m.assignment != nil {
		c.replySync`},
	}},
	{"joined-with-the-old-generation", "a member joins the generation before", []edit{
		{"fanout/group/join.go", `resp.Generation, resp.MemberID, resp.LeaderID = g.generation, m.id, leader`,
			`resp.Generation, resp.MemberID, resp.LeaderID = g.generation-1, m.id, leader`},
	}},
	{"generation-not-counted", "two generations of a group have one number", []edit{
		{"fanout/group/group.go", `	g.generation++
`, `	g.generation = max(g.generation, 1)
`},
	}},
	{"generation-lost-at-restart", "a group begins at generation 0 after a restart", []edit{
		{"fanout/group/restore.go", `g.state, g.generation = Empty, v.Generation`, `g.state, g.generation = Empty, 0`},
	}},
	{"static-member-not-fenced", "two clients share one group.instance.id", []edit{
		{"fanout/group/group.go", `	case m.id != memberID:
		return nil, wire.CodeFencedInstanceID
`, ``},
	}},
	{"leader-not-told-the-members", "the leader gets the members of the group without the last one", []edit{
		{"fanout/group/join.go", `			resp.Members = append(resp.Members, r)
		}`, `			resp.Members = append(resp.Members, r)
		}
		resp.Members = resp.Members[:max(len(resp.Members)-1, 1)]`},
	}},
	{"disconnected-member-awaited", "a rebalance waits for a client that is gone and does not know its id", []edit{
		{"fanout/group/presence.go", `	if m := at.joining; m != nil {
		c.leave(m.group, m, now)
	}`, ``},
	}},
	{"members-lost-at-restart", "the members of a stable group are forgotten at a restart", []edit{
		{"fanout/group/restore.go", `		c.restoreMember(g, &v.Members[i])
`, ``},
	}},
	{"sessions-not-started-at-restart", "a member that died while the server was down stays", []edit{
		{"fanout/group/restore.go", `			c.timers.start(&m.session, m.aliveUntil)
		}
		g.sortCommits()`, `		}
		g.sortCommits()`},
	}},
	{"commit-answered-before-it-is-durable", "a commit of offsets is answered before its record is written", []edit{
		{"fanout/group/queue.go", `Durable: true, first: q.first, last: q.queued})
}

// ReplyReaped`, `Durable: false, first: q.first, last: q.queued})
}

// ReplyReaped`},
	}},
	{"commit-answered-before-its-sync", "a commit of offsets is answered before its record is durable, though the server waits for that", []edit{
		{"fanout/offsets/output.go", `p.Log.HighWatermark() <= last && p.Log.Poisoned() == nil {`, `p.Log.HighWatermark() < 0 {`},
	}},
	{"lost-commit-answered", "a commit of offsets is answered as done whose record was not written", []edit{
		{"fanout/group/appended.go", `	return slices.ContainsFunc(c.queue.lost, func(n numbers) bool { return r.first <= n.last && r.last >= n.first })`,
			`	return slices.ContainsFunc(c.queue.lost, func(n numbers) bool { return r.first > n.last && r.last < n.first })`},
	}},
	{"lost-commit-not-written-again", "an offset whose record could not be written is gone after a restart", []edit{
		{"fanout/offsets/output.go", `	w.lost, w.next = true, l.loop.Now()+retryAfter`, `	w.lost, w.next = false, l.loop.Now()+retryAfter`},
	}},
	{"first-commit-wins-at-restart", "after a restart a group has its first commit in place of its last", []edit{
		{"fanout/group/restore.go", `		c.addOffset(o)
	}
	c.budget.Force(held`, `		c.addOffset(o)
	} else {
		return nil
	}
	c.budget.Force(held`},
	}},
	{"tombstone-ignored-at-restart", "an offset that was deleted is back after a restart", []edit{
		{"fanout/group/restore.go", `		if g := c.groups.get(k.Group); g != nil && g.offsets.get(at) != nil {`, `		if g := c.groups.get(k.Group); g != nil && g.removed {`},
	}},
	{"tombstone-not-written", "an offset that was deleted is not deleted in the log", []edit{
		{"fanout/group/committed.go", `	c.takeOffset(o)
	c.tombstone(&o.live)`, `	c.takeOffset(o)
	o.live.unlink()
	c.budget.Give(o.bytes())`},
	}},
	{"offset-of-a-deleted-topic-kept", "a topic that is made again has the committed offsets of the deleted one", []edit{
		{"fanout/group/reaper.go", `	x := c.topics.get(topic)
	if x == nil {`, `	x := c.topics.get(topic)
	if x == nil || x.list.Len() > 0 {`},
	}},
	{"offset-of-another-partition", "the committed offset of another partition is returned", []edit{
		{"fanout/group/offset_fetch.go", `o = g.offset(topicPartition{topic.Topic, partition})`, `o = g.offset(topicPartition{topic.Topic, req.Topics[i].Partitions[0]})`},
	}},
	{"compaction-drops-what-it-wrote", "the rewriting of the offsets topic drops records that are not written again", []edit{
		{"fanout/offsets/rewrite.go", `	if err := p.Log.DeleteRecords(w.before); err != nil {`, `	if err := p.Log.DeleteRecords(p.Log.HighWatermark()); err != nil {`},
		{"fanout/offsets/rewrite.go", `	segmentBytes = 4 << 20`, `	segmentBytes = 128 << 10`},
		{"fanout/offsets/rewrite.go", `	rewriteFromBytes = 16 << 20`, `	rewriteFromBytes = 256 << 10`},
	}},
	{"rewrite-not-durable", "the rewriting of the offsets topic drops records before their copies are durable", []edit{
		{"fanout/offsets/rewrite.go", `	safe := p.Log.DurableOffset()
`, `	safe := p.Log.LogEndOffset()
`},
		{"fanout/offsets/rewrite.go", `	segmentBytes = 4 << 20`, `	segmentBytes = 128 << 10`},
		{"fanout/offsets/rewrite.go", `	rewriteFromBytes = 16 << 20`, `	rewriteFromBytes = 256 << 10`},
	}},
	{"group-memory-kept", "the memory of a pending member id is not given back", []edit{
		{"fanout/group/presence.go", `	c.unlinkPending(p)
	c.budget.Give(p.bytes())`, `	c.unlinkPending(p)`},
	}},
	{"group-request-answered-twice", "a request of a group is answered twice", []edit{
		{"fanout/group/sync.go", `		w := m.sync.take()
		m.alive(now)
		c.replySync(w.ticket, w.version, 0, m.assignment)`, `		w := m.sync.take()
		m.alive(now)
		c.replySync(w.ticket, w.version, 0, m.assignment)
		if m.id != g.leader {
			c.replySync(w.ticket, w.version, 0, m.assignment)
		}`},
	}},
}
