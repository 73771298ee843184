package fanout

// queue is a first-in-first-out list of connections that wait for memory.
type queue struct {
	first, last *queueNode
	n           int
}

// queueNode is a connection's place in a queue.
type queueNode struct {
	conn       *conn
	in         *queue
	prev, next *queueNode
}

// waits says that the connection is in a queue.
func (w *queueNode) waits() bool { return w.in != nil }

// push puts w at the end, or leaves it where it is.
func (q *queue) push(w *queueNode, c *conn) {
	if w.in != nil {
		return
	}
	w.conn, w.in, w.prev, w.next = c, q, q.last, nil
	if q.last != nil {
		q.last.next = w
	} else {
		q.first = w
	}
	q.last = w
	q.n++
}

// pushFront puts w in front of all others: it had its turn and could not use it.
func (q *queue) pushFront(w *queueNode, c *conn) {
	if w.in != nil {
		return
	}
	w.conn, w.in, w.prev, w.next = c, q, nil, q.first
	if q.first != nil {
		q.first.prev = w
	} else {
		q.last = w
	}
	q.first = w
	q.n++
}

// leave takes w off its queue, if it is in one.
func (w *queueNode) leave() {
	q := w.in
	if q == nil {
		return
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.last = w.prev
	}
	*w = queueNode{}
	q.n--
}
