package group

import (
	"math"
	"time"
)

// emptyGroupLinger is how long a group without members and offsets is shown before it is forgotten.
const emptyGroupLinger = 10 * time.Minute

// expiry wakes a group whose offsets may have to go.
type expiry struct{ group *group }

func (e expiry) fire(c *Coordinator, now Instant) {
	g := e.group
	if g.state != Empty || g.pending.len() > 0 {
		return
	}
	for at, o := range g.offsets.all {
		if c.expiresMillis(o) <= now.UnixMillis {
			c.dropOffset(g, at)
		}
	}
	if g.offsets.len() == 0 {
		c.removeGroup(g)
		return
	}
	c.scheduleExpiry(g, now)
}

// expiresMillis is when an offset of a group without members is to be forgotten (KIP-211).
func (c *Coordinator) expiresMillis(o *committed) int64 {
	if o.expireMillis >= 0 {
		return o.expireMillis
	}
	since := o.commitMillis
	if o.group.protocolType != "" {
		since = max(since, o.group.emptySinceMillis)
	}
	return since + c.config.OffsetsRetention.Milliseconds()
}

// scheduleExpiry sets a group's timer, if it has no members and the timer does not run. One that runs may fire too
// early, and is then set again: commits, which put an expiry off, need not look at it.
func (c *Coordinator) scheduleExpiry(g *group, now Instant) {
	if g.state != Empty || g.pending.len() > 0 {
		c.timers.stop(&g.expiry)
		return
	}
	if g.expiry.index != 0 {
		return
	}
	wait := emptyGroupLinger
	if g.offsets.len() > 0 {
		first := int64(math.MaxInt64)
		for _, o := range g.offsets.all {
			first = min(first, c.expiresMillis(o))
		}
		// At least a second: the two clocks drift against each other, and an early look costs as much as one in time.
		wait = max(time.Duration(min(first-now.UnixMillis, maxWaitMillis))*time.Millisecond, time.Second)
	}
	c.timers.start(&g.expiry, now.Monotonic+wait)
}

// maxWaitMillis keeps the sum of a time and a wait within 64 bits.
const maxWaitMillis = int64(100 * 365 * 24 * time.Hour / time.Millisecond)
