package fanout

import (
	"time"

	"oneplusn/segment"
)

// waitNode is one partition that a fetch or a produce waits for. It is linked into the partition's list meanwhile.
type waitNode struct {
	client *client
	result int // which of a produce's results or of a fetch's partitions it is
	// Of a fetch: where its offset is, and how many bytes from there on count towards min_bytes.
	place      segment.Range
	readable   int64
	list       *waitList
	prev, next *waitNode
}

// waitList is a first-in-first-out list of waiting requests.
type waitList struct {
	first, last *waitNode
	n           int
}

func (l *waitList) push(w *waitNode) {
	w.list, w.prev, w.next = l, l.last, nil
	if l.last != nil {
		l.last.next = w
	} else {
		l.first = w
	}
	l.last = w
	l.n++
}

func (w *waitNode) unlink() {
	l := w.list
	if l == nil {
		return
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.list, w.prev, w.next = nil, nil, nil
	l.n--
}

// deadlines is a binary heap of waiting connections by the time at which they have waited long enough. A connection
// knows its place in it, so that it can leave early.
type deadlines []*client

func (d deadlines) next() (time.Duration, bool) {
	if len(d) == 0 {
		return 0, false
	}
	return d[0].deadline, true
}

func (d *deadlines) add(c *client) {
	c.heapIndex = len(*d)
	*d = append(*d, c)
	d.up(c.heapIndex)
}

func (d *deadlines) remove(c *client) {
	i, last := c.heapIndex, len(*d)-1
	if i < 0 {
		return
	}
	d.swap(i, last)
	(*d)[last] = nil
	*d = (*d)[:last]
	c.heapIndex = -1
	if i < last {
		d.down(i)
		d.up(i)
	}
}

func (d deadlines) swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].heapIndex, d[j].heapIndex = i, j
}

func (d deadlines) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if d[parent].deadline <= d[i].deadline {
			return
		}
		d.swap(i, parent)
		i = parent
	}
}

func (d deadlines) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(d); child++ {
			if d[child].deadline < d[least].deadline {
				least = child
			}
		}
		if least == i {
			return
		}
		d.swap(i, least)
		i = least
	}
}
