package group

// The lists that a committed offset is on.
const (
	byGroup = iota // of its group, in the order of the commits
	byTopic        // of its topic
	lists
)

// offsetList is a list of committed offsets, whose links are part of them.
type offsetList struct {
	which       int
	first, last *committed
	n           int
}

type offsetLinks struct{ prev, next *committed }

func (l *offsetList) push(o *committed) {
	o.links[l.which] = offsetLinks{prev: l.last}
	if l.last != nil {
		l.last.links[l.which].next = o
	} else {
		l.first = o
	}
	l.last = o
	l.n++
}

func (l *offsetList) remove(o *committed) {
	at := o.links[l.which]
	if at.prev != nil {
		at.prev.links[l.which].next = at.next
	} else {
		l.first = at.next
	}
	if at.next != nil {
		at.next.links[l.which].prev = at.prev
	} else {
		l.last = at.prev
	}
	o.links[l.which] = offsetLinks{}
	l.n--
}
