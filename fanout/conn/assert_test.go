package conn

import "testing"

// mustPanic runs f, which breaks a rule.
func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

// What the package comment says of requests, pins and errands is asserted.
func TestAssertions(t *testing.T) {
	var asked *echo
	l := newLab(t, func(h *echo, _ []byte) { asked = h }, nil)
	c := l.dial()
	c.write(framed([]byte("a frame that is kept")))
	l.await("the frame", func() bool { return asked != nil })
	l.on(func() {
		h := asked
		mustPanic(t, "an unpin without a pin", func() { h.Unpin() })
		h.in.pins = 0
		if !h.Unanswered() {
			t.Error("a request that waits for nothing has an answer")
		}
		end, _ := h.Errand(), h.Errand()
		if h.Unanswered() {
			t.Error("a request with errands waits for nothing")
		}
		end()
		mustPanic(t, "an errand that ends twice", func() { end() })
		h.errands = 0
		mustPanic(t, "the end of a request without an answer", func() { h.end() })
		h.echo()
		mustPanic(t, "a second answer", func() { h.Respond([]byte("again")) })
		mustPanic(t, "no answer after an answer", func() { h.RespondNothing() })
		mustPanic(t, "putting off an answered request", func() { h.PutOff(costlyItems + 1) })
		mustPanic(t, "a wait for memory of an answered request", func() { _ = h.AwaitRoom("a request", 1) })
	})
	c.receive()
	l.on(func() {
		h := asked
		b, err := l.table.Responses.Take(h.Conn, 1)
		if err != nil {
			t.Fatal(err)
		}
		l.table.Responses.Release(b)
		mustPanic(t, "a block that is released twice", func() { l.table.Responses.Release(b) })
		h.charged = 1
		mustPanic(t, "a connection that is freed with memory", func() { h.mustHoldNothing() })
		h.charged = 0
		h.Close(ByShutdown, nil)
		mustPanic(t, "an answer on a closed connection", func() { h.Respond([]byte("late")) })
	})
	l.await("the slot to be free", func() bool { return l.table.conns.Taken() == 0 })
	l.on(func() {
		own := l.table.requests.connections
		taken := own.Left()
		own.Take(taken)
		mustPanic(t, "a connection without a small buffer", func() { l.table.requests.takeOwn(KeptFrameBytes) })
		own.Give(taken)
		mustPanic(t, "a pin of a free slot", func() { asked.Pin() })
		mustPanic(t, "an errand of a free slot", func() { asked.Errand() })
	})
}
