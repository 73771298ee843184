package group

import "iter"

// memberList are the members of a group in the order in which they joined. The links are part of the members.
type memberList struct {
	first, last *member
	n           int
}

func (l *memberList) push(m *member) {
	m.prev, m.next = l.last, nil
	if l.last != nil {
		l.last.next = m
	} else {
		l.first = m
	}
	l.last = m
	l.n++
}

func (l *memberList) remove(m *member) {
	if m.prev != nil {
		m.prev.next = m.next
	} else {
		l.first = m.next
	}
	if m.next != nil {
		m.next.prev = m.prev
	} else {
		l.last = m.prev
	}
	m.prev, m.next = nil, nil
	l.n--
}

// all are the members. The one that is looked at may be removed.
func (l *memberList) all() iter.Seq[*member] {
	return func(yield func(*member) bool) {
		for m := l.first; m != nil; {
			next := m.next
			if !yield(m) {
				return
			}
			m = next
		}
	}
}
