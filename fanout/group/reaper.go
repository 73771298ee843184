package group

import (
	"time"

	"oneplusn/segment/list"
	"oneplusn/segment/mark"
)

// offsetList is the list of a group's offsets or of a topic's.
type offsetList = list.List[*committed]

// topicOffsets are the offsets that all groups have committed for one topic.
type topicOffsets struct {
	name    string
	list    offsetList
	deleted bool // clients see none of these any more
	// scanned is the scan that found a member subscribed to this topic.
	scanned uint64
}

// reaper writes tombstones for the offsets of deleted groups and topics, a few at a time. No request finds these offsets
// any more, but they are in the log, and in memory.
type reaper struct {
	lists []*offsetList // the oldest first
	// queued and reaped count lists.
	queued, reaped uint64
	timer          timer
	// left offsets may be reaped at the time at, so that many lists in one turn take no longer than one.
	at   time.Duration
	left int
}

// reapLater hands over a list whose owner is gone, and reaps the first of its offsets at once.
func (c *Coordinator) reapLater(now Instant, l *offsetList) {
	c.reaper.lists = append(c.reaper.lists, l)
	c.reaper.queued++
	c.reap(now)
}

func (c *Coordinator) reap(now Instant) {
	x := &c.reaper
	if x.left == 0 || x.at != now.Monotonic {
		x.at, x.left = now.Monotonic, c.steps.reap+1
	}
	for len(x.lists) > 0 {
		o := x.lists[0].First().Value()
		if o == nil {
			x.lists[0] = nil
			x.lists = x.lists[1:]
			x.reaped++
			continue
		}
		if x.left == 1 {
			c.timers.start(&x.timer, now.Monotonic+reapPause)
			return
		}
		x.left--
		c.dropOffset(o)
	}
	x.lists = nil
	c.timers.stop(&x.timer)
}

// reapPause lets a turn of the loop go by.
const reapPause = time.Millisecond

// fire implements alarm.
func (x *reaper) fire(c *Coordinator, now Instant) { c.reap(now) }

// TopicDeleted forgets the offsets of a topic at once: a new topic of the same name begins without any. Their tombstones
// are written over time.
func (c *Coordinator) TopicDeleted(now Instant, topic string) {
	x := c.topics.get(topic)
	if x == nil {
		return
	}
	mark.Hit("a topic was deleted for which offsets were committed")
	x.deleted = true
	c.topics.remove(topic)
	c.reapLater(now, &x.list)
}
