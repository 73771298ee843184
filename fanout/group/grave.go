package group

import "time"

// topicOffsets are what all groups have committed for one topic.
type topicOffsets struct {
	name string
	list offsetList
	gone bool // the topic was deleted: nobody is told of these any more
	// read is the look at a group's subscriptions that found this topic there.
	read uint64
}

// graves are lists of offsets that are forgotten a few at a time: nobody finds them any more, but they are in the log,
// and in memory. The oldest list is the first.
type graves struct {
	lists []*offsetList
	// buried and emptied count the lists.
	buried, emptied uint64
	timer           timer
	// at is the time for which left more may be forgotten, so that many lists in one turn take no longer than one.
	at   time.Duration
	left int
}

// bury has the offsets of a list forgotten, the first of them at once. The list's owner is gone.
func (c *Coordinator) bury(now Instant, l *offsetList) {
	c.graves.lists = append(c.graves.lists, l)
	c.graves.buried++
	c.reap(now)
}

// reap forgets some of what is buried.
func (c *Coordinator) reap(now Instant) {
	x := &c.graves
	if x.left == 0 || x.at != now.Monotonic {
		x.at, x.left = now.Monotonic, c.steps.reap+1
	}
	for len(x.lists) > 0 {
		o := x.lists[0].first
		if o == nil {
			x.lists[0] = nil
			x.lists = x.lists[1:]
			x.emptied++
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
func (x *graves) fire(c *Coordinator, now Instant) {
	c.reap(now)
}

// TopicDeleted forgets what groups have committed for a topic: one of the same name that is made later begins at 0. What
// is committed from now on is of that one. The work is that of the topic's own offsets, and is spread over time.
func (c *Coordinator) TopicDeleted(now Instant, topic string) {
	x := c.topics.get(topic)
	if x == nil {
		return
	}
	x.gone = true
	c.topics.remove(topic)
	c.bury(now, &x.list)
}
