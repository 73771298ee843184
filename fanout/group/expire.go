package group

import (
	"time"

	"oneplusn/segment/mark"
)

const (
	// emptyGroupLinger is the time that tools see a group without members and offsets.
	emptyGroupLinger = 10 * time.Minute
	// maxExpiryCheck is Apache Kafka's offsets.retention.check.interval.ms: how often a group is checked whose old offsets
	// are of topics that it reads.
	maxExpiryCheck = 10 * time.Minute
	// scanPause lets turns of the loop go by between two of them.
	scanPause = time.Millisecond
	// maxWaitMillis keeps the sum of a time and a wait within 64 bits.
	maxWaitMillis = int64(100 * 365 * 24 * time.Hour / time.Millisecond)
)

// scan visits one group's offsets, the oldest commit first, and drops those that expire (KIP-211, KIP-496):
//
//   - of a group without members: all, the retention after the last member left;
//   - of a stable group of consumers: those of topics that no member subscribes to, the retention after their commit;
//   - of a group that never had members: each, the retention after its commit.
//
// An expiry time that the client chose (versions 2 to 4 of OffsetCommit) replaces the retention.
type scan struct {
	group      *group
	generation int32
	state      State
	next       *committed
	number     uint64 // topicOffsets.scanned of the topics that the group reads
}

// expiry wakes a group whose offsets may expire.
type expiry struct{ group *group }

func (e expiry) fire(c *Coordinator, now Instant) {
	e.group.mustExist()
	g, s := e.group, &c.scan
	switch {
	case s.group != nil && s.group != g:
		c.timers.start(&g.expiry, now.Monotonic+time.Second) // one after the other
		return
	case s.group == g && (s.generation != g.generation || s.state != g.state):
		c.endScan(g)
	}
	if s.group == nil && !c.beginScan(g) {
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
		s.next = o.following()
		if o.topic.scanned != s.number && !o.topic.deleted && c.expiresMillis(o) <= now.UnixMillis {
			mark.Hit("a committed offset expired")
			c.dropOffset(o)
		}
	}
	c.timers.start(&g.expiry, now.Monotonic+scanPause)
}

// beginScan is false if nothing can expire in the group's present state.
func (c *Coordinator) beginScan(g *group) bool {
	if g.pending.len() > 0 || g.state != Empty && g.state != Stable {
		return false
	}
	c.scan = scan{group: g, generation: g.generation, state: g.state, next: g.oldest(), number: c.scan.number + 1}
	if g.state == Empty {
		return true
	}
	return g.eachSubscribed(func(topic []byte) {
		if x := c.topics.get(string(topic)); x != nil {
			x.scanned = c.scan.number
		}
	})
}

func (c *Coordinator) endScan(g *group) {
	if c.scan.group == g {
		c.scan = scan{number: c.scan.number}
	}
}

// oldest is the group's oldest commit, or nil.
func (g *group) oldest() *committed { return g.commits.First().Value() }

// following is the group's next commit, or nil.
func (o *committed) following() *committed { return o.inGroup.Next().Value() }

// unscan lets the scan skip an offset that moves or goes.
func (c *Coordinator) unscan(o *committed) {
	if c.scan.next == o {
		c.scan.next = o.following()
	}
}

func (c *Coordinator) afterScan(now Instant, g *group) {
	if g.commits.Len() == 0 && g.state == Empty {
		mark.Hit("an empty group was forgotten")
		c.removeGroup(now, g)
		return
	}
	c.scheduleExpiry(g, now)
}

// expiresMillis is the time at which an offset expires if no member subscribes to its topic.
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

// scheduleExpiry starts a group's timer, unless it runs. One that fires too early is started again, so commits, which
// delay an expiry, leave it alone.
func (c *Coordinator) scheduleExpiry(g *group, now Instant) {
	if g.expiry.running() || g.removed || g.state == Empty && g.pending.len() > 0 {
		return
	}
	check := min(max(c.config.OffsetsRetention/10, time.Second), maxExpiryCheck)
	switch {
	case g.commits.Len() == 0 && g.state != Empty:
		return
	case g.commits.Len() == 0:
		c.timers.start(&g.expiry, now.Monotonic+emptyGroupLinger)
		return
	case g.state == Preparing || g.state == Completing:
		c.timers.start(&g.expiry, now.Monotonic+check)
		return
	}
	// The oldest commit expires first, unless a client chose the time. Wait even if it is overdue: a stable group may still
	// read its topic.
	first := c.expiresMillis(g.oldest())
	for o, n := g.oldest(), 0; g.explicit > 0 && o != nil && n < c.steps.scan; o, n = o.following(), n+1 {
		first = min(first, c.expiresMillis(o))
	}
	wait := time.Duration(min(first-now.UnixMillis, maxWaitMillis)) * time.Millisecond
	if g.explicit > 0 && g.commits.Len() > c.steps.scan {
		wait = min(wait, maxExpiryCheck)
	}
	if g.state == Stable {
		wait = max(wait, check)
	}
	c.timers.start(&g.expiry, now.Monotonic+max(wait, time.Second)) // a second: the two clocks drift against each other
}
