package conn

import (
	"bytes"
	"testing"
)

// Bytes of a frame that are read off the loop stay as they are, whatever the client sends after them: what comes lies elsewhere,
// and the memory of both is charged until the last pin is gone. Then the next requests are answered.
func TestPinnedFrameStaysWhateverComesAfterIt(t *testing.T) {
	l := newLab(t, nil, nil)
	c := l.dial()
	first := framed([]byte("a frame that is read off the loop"))
	c.write(first[:len(first)-1])
	var pinned, want []byte
	var used int64
	l.await("the first frame", func() bool {
		for c := range l.table.conns.All() {
			if c.in.end == len(first)-1 {
				c.Pin()
				c.Pin()
				pinned = c.in.buf[:c.in.end]
				want = bytes.Clone(pinned)
				used = l.table.requests.total.Used()
			}
		}
		return want != nil
	})
	c.write(first[len(first)-1:])
	c.receive()
	const more = 5
	next := []byte("another frame, which is longer and longer")
	for range more { // a small one first, which fits the same buffer, then some that need larger ones
		c.write(framed(next))
		next = bytes.Repeat(next, 6)
	}
	unpin := func() {
		l.each(func(c *Conn) {
			if !bytes.Equal(pinned, want) {
				t.Errorf("pinned bytes were overwritten: %q, want %q", pinned, want)
			}
			c.Unpin()
		})
	}
	l.await("the next frames to lie elsewhere", func() (moved bool) {
		for c := range l.table.conns.All() {
			moved = len(c.in.retired) > 0 && l.table.requests.total.Used() > used
		}
		return moved
	})
	unpin()
	unpin()
	next = []byte("another frame, which is longer and longer")
	for range more {
		if got := c.receive(); !bytes.Equal(got, next) {
			t.Errorf("the answer to a frame behind a pinned one has %d bytes, want %d", len(got), len(next))
		}
		next = bytes.Repeat(next, 6)
	}
	l.each(func(c *Conn) { c.Pin() })
	pinned, want = nil, nil
	_ = c.Close()
	l.await("the close", func() bool { return l.table.closed[ByPeer] == 1 })
	if st := l.stats(); st.Connections != 1 {
		t.Errorf("%d connections while a frame is pinned, want the one that holds it", st.Connections)
	}
	unpin()
	l.await("the slot to be free", func() bool { return l.table.conns.Taken() == 0 && l.table.requests.total.Used() == 0 })
}
