package conn

import (
	"bytes"
	"fmt"
	"testing"
)

// Requests of one connection are answered one at a time and in their order, however their bytes come.
func TestRequestsAreAnsweredInTheirOrder(t *testing.T) {
	underWay := 0
	l := newLab(t, func(h *echo, frame []byte) {
		if underWay++; underWay > 1 {
			t.Error("a second request of the connection is under way")
		}
		end := h.Errand()
		h.lab.loop.Go(func() {}, func() {
			if end() {
				underWay--
				h.echo()
			}
		})
	}, nil)
	c := l.dial()
	var all []byte
	for i := range 50 {
		all = append(all, framed(fmt.Appendf(nil, "request number %d %s", i, bytes.Repeat([]byte("x"), i*i)))...)
	}
	for len(all) > 0 {
		n := min(777, len(all))
		c.write(all[:n])
		all = all[n:]
	}
	for i := range 50 {
		if got, want := c.receive(), fmt.Appendf(nil, "request number %d ", i); !bytes.HasPrefix(got, want) {
			t.Fatalf("answer %d is %.40q", i, got)
		}
	}
}

// Answers for which there is no memory wait for those before them, and all of them are given.
func TestLargeAnswersWaitForResponseMemory(t *testing.T) {
	l := newLab(t, nil, func(c *Config) { c.ResponseMemoryBytes = 256 << 10 })
	var clients []*dialed
	payload := bytes.Repeat([]byte("a large answer "), 10_000)
	for range 8 {
		clients = append(clients, l.dial())
	}
	for _, c := range clients {
		go func() { _, _ = c.Write(framed(payload)) }()
	}
	for _, c := range clients {
		if got := c.receive(); !bytes.Equal(got, payload) {
			t.Errorf("an answer has %d bytes, want %d", len(got), len(payload))
		}
	}
}

// An errand keeps its connection's slot until it ends, though the client has gone.
func TestErrandKeepsTheSlot(t *testing.T) {
	var end func() bool
	l := newLab(t, func(h *echo, _ []byte) { end = h.Errand() }, nil)
	c := l.dial()
	c.write(framed([]byte("work that goes on")))
	l.await("the request", func() bool { return end != nil })
	_ = c.Close()
	l.await("the close", func() bool { return l.table.closed[ByPeer] == 1 })
	if st := l.stats(); st.Connections != 1 {
		t.Errorf("%d connections during the errand, want the one that it belongs to", st.Connections)
	}
	l.on(func() {
		if end() {
			t.Error("the end of the errand says that the client is still there")
		}
	})
	l.await("the slot to be free", func() bool { return l.table.conns.Taken() == 0 })
}

// What names a connection finds no later one in the same slot.
func TestIDFindsNoLaterConnection(t *testing.T) {
	l := newLab(t, nil, nil)
	var first, second ID
	c := l.dial()
	l.await("the first", func() bool {
		for c := range l.table.conns.All() {
			first = c.ID()
		}
		return l.table.Find(first) != nil
	})
	_ = c.Close()
	l.await("its slot to be free", func() bool { return l.table.conns.Taken() == 0 })
	l.dial()
	l.await("the second", func() bool {
		for c := range l.table.conns.All() {
			second = c.ID()
		}
		return l.table.conns.Taken() == 1
	})
	l.on(func() {
		if l.table.Find(first) != nil || l.table.Find(second) == nil || uint32(first) != uint32(second) {
			t.Errorf("the first is %x and is found: %v, the second %x", first, l.table.Find(first) != nil, second)
		}
	})
}

// A request that asks for much is answered in a later turn, and one that asks for little at once.
func TestCostlyRequestsWaitForTheirTurn(t *testing.T) {
	l := newLab(t, func(h *echo, frame []byte) {
		if !h.PutOff(len(frame)) {
			h.echo()
		}
	}, nil)
	c := l.dial()
	c.write(append(framed([]byte("a small one")), framed(make([]byte, costlyItems+1))...))
	c.receive()
	c.receive()
	l.on(func() {
		if again := l.handlers[0].again; again != 1 {
			t.Errorf("%d requests were answered in a later turn, want the large one", again)
		}
	})
}
