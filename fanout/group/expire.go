package group

import "time"

const (
	// emptyGroupLinger is how long a group without members and offsets is shown before it is forgotten.
	emptyGroupLinger = 10 * time.Minute
	// maxExpiryCheck is Apache Kafka's offsets.retention.check.interval.ms: a group that has old offsets of topics that
	// it reads is looked at that often.
	maxExpiryCheck = 10 * time.Minute
	// scanPause lets turns of the loop go by between two of them.
	scanPause = time.Millisecond
	// maxWaitMillis keeps the sum of a time and a wait within 64 bits.
	maxWaitMillis = int64(100 * 365 * 24 * time.Hour / time.Millisecond)
)

// scan looks through one group's offsets for those that expire, the oldest commit first (KIP-211, KIP-496):
//
//   - of a group without members: all, when it has had none for the retention;
//   - of a group of consumers that is stable: those of topics that none of its members reads, the retention after their
//     commit;
//   - of clients that commit without being members: each, the retention after its commit.
//
// Offsets whose client said when they expire (versions 2 to 4 of OffsetCommit) go then, under the same conditions.
type scan struct {
	group      *group
	generation int32
	state      State
	next       *committed
	read       uint64 // what topicOffsets.read is of topics that the group reads
}

// expiry wakes a group whose offsets may have to go.
type expiry struct{ group *group }

func (e expiry) fire(c *Coordinator, now Instant) {
	g, s := e.group, &c.scan
	switch {
	case s.group != nil && s.group != g:
		c.timers.start(&g.expiry, now.Monotonic+time.Second) // one after the other
		return
	case s.group == g && (s.generation != g.generation || s.state != g.state):
		c.endScan(g)
	}
	if s.group == nil && !c.beginScan(now, g) {
		c.endScan(g)
		c.scheduleExpiry(g, now)
		return
	}
	for range c.steps.scan {
		c.work++
		o := s.next
		if o == nil || g.explicit == 0 && o.commitMillis > now.UnixMillis-c.config.OffsetsRetention.Milliseconds() {
			c.endScan(g)
			c.afterScan(now, g)
			return
		}
		s.next = o.links[byGroup].next
		if o.topic.read != s.read && !o.topic.gone && c.expiresMillis(o) <= now.UnixMillis {
			c.dropOffset(o)
		}
	}
	c.timers.start(&g.expiry, now.Monotonic+scanPause)
}

// beginScan is false if nothing of the group can expire as it is now.
func (c *Coordinator) beginScan(now Instant, g *group) bool {
	if g.pending.len() > 0 || g.state != Empty && g.state != Stable {
		return false
	}
	c.scan = scan{group: g, generation: g.generation, state: g.state, next: g.commits.first, read: c.scan.read + 1}
	if g.state == Empty {
		return true
	}
	return g.eachSubscribed(func(topic []byte) {
		if x := c.topics.get(string(topic)); x != nil {
			x.read = c.scan.read
		}
	})
}

func (c *Coordinator) endScan(g *group) {
	if c.scan.group == g {
		c.scan = scan{read: c.scan.read}
	}
}

// unscan has the scan under way pass over an offset that is moved or removed.
func (c *Coordinator) unscan(o *committed) {
	if c.scan.next == o {
		c.scan.next = o.links[byGroup].next
	}
}

func (c *Coordinator) afterScan(now Instant, g *group) {
	if g.commits.n == 0 && g.state == Empty {
		c.removeGroup(now, g)
		return
	}
	c.scheduleExpiry(g, now)
}

// expiresMillis is when an offset is to be forgotten that nobody reads on from.
func (c *Coordinator) expiresMillis(o *committed) int64 {
	if o.expireMillis >= 0 {
		return o.expireMillis
	}
	since := o.commitMillis
	if o.group.state == Empty && o.group.protocolType != "" {
		since = max(since, o.group.emptySinceMillis)
	}
	return since + c.config.OffsetsRetention.Milliseconds()
}

// scheduleExpiry sets a group's timer, unless it runs. One that runs may fire too early, and is then set again: commits,
// which put an expiry off, need not look at it.
func (c *Coordinator) scheduleExpiry(g *group, now Instant) {
	if g.expiry.index != 0 || g.gone || g.state == Empty && g.pending.len() > 0 {
		return
	}
	check := min(max(c.config.OffsetsRetention/10, time.Second), maxExpiryCheck)
	switch {
	case g.commits.n == 0 && g.state != Empty:
		return
	case g.commits.n == 0:
		c.timers.start(&g.expiry, now.Monotonic+emptyGroupLinger)
		return
	case g.state == Preparing || g.state == Completing:
		c.timers.start(&g.expiry, now.Monotonic+check)
		return
	}
	// The oldest commit is the first to expire, unless a client said when. Not at once if it is overdue: a stable group
	// may be reading on from it.
	first := c.expiresMillis(g.commits.first)
	for o, n := g.commits.first, 0; g.explicit > 0 && o != nil && n < c.steps.scan; o, n = o.links[byGroup].next, n+1 {
		first = min(first, c.expiresMillis(o))
	}
	wait := time.Duration(min(first-now.UnixMillis, maxWaitMillis)) * time.Millisecond
	if g.explicit > 0 && g.commits.n > c.steps.scan {
		wait = min(wait, maxExpiryCheck)
	}
	if g.state == Stable {
		wait = max(wait, check)
	}
	c.timers.start(&g.expiry, now.Monotonic+max(wait, time.Second)) // a second: the two clocks drift against each other
}
