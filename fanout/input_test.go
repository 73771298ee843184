package fanout

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// onLoop runs f on the loop's thread and waits for it.
func (s *server) onLoop(f func(b *Broker)) {
	s.t.Helper()
	ran := make(chan struct{})
	if !s.broker.Do(func() { f(s.broker); close(ran) }) {
		s.t.Fatal("the loop has ended")
	}
	<-ran
}

// eachConn runs f for each connection, on the loop's thread.
func (s *server) eachConn(f func(c *conn)) {
	s.t.Helper()
	s.onLoop(func(b *Broker) {
		for c := range b.conns.all() {
			f(c)
		}
	})
}

// Bytes of a frame that are read off the loop stay as they are, whatever the client sends after them: what comes lies elsewhere,
// and the memory of both is charged until the last pin is gone. Then the next requests are answered.
func TestPinnedFrameStaysWhateverComesAfterIt(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	first := kmsg.NewPtrMetadataRequest()
	first.Topics = append(first.Topics, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr("a-name-that-is-looked-for")})
	frame := c.frame(first)
	c.write(frame[:len(frame)-1])
	var pinned, want []byte
	var used int64
	eventually(func() bool {
		s.eachConn(func(c *conn) {
			if c.in.end == len(frame)-1 {
				c.pin()
				c.pin()
				pinned = c.in.buf[:c.in.end]
				want = bytes.Clone(pinned)
				used = s.broker.frames.total.Used()
			}
		})
		return want != nil
	})
	c.write(frame[len(frame)-1:])
	c.receive(first, c.next)
	second := kmsg.NewPtrMetadataRequest()
	const more = 5
	from := c.next + 1
	for range more { // a small one first, which fits the same buffer, then some that need larger ones
		c.write(c.frame(second))
		for range 200 {
			second.Topics = append(second.Topics, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr("another-name-that-takes-room")})
		}
	}
	eventually(func() (moved bool) {
		s.eachConn(func(c *conn) { moved = len(c.in.retired) > 0 && s.broker.frames.total.Used() > used })
		return moved
	})
	unpin := func() {
		s.eachConn(func(c *conn) {
			if !bytes.Equal(pinned, want) {
				t.Errorf("pinned bytes were overwritten: %q, want %q", pinned, want)
			}
			c.unpin()
		})
	}
	unpin()
	unpin()
	for i := range int32(more) {
		c.receive(second, from+i)
	}
	c.alive()
	s.eachConn(func(c *conn) { c.pin() })
	pinned, want = nil, nil
	c.close()
	s.await("the close", func(st Stats) bool { return st.Closed["peer"] == 1 })
	if st := s.stats(); st.Connections != 1 {
		t.Errorf("%d connections while a frame is pinned, want the one that holds it", st.Connections)
	}
	unpin()
	if st := s.stats(); st.Connections != 0 || st.RequestMemory != 0 {
		t.Errorf("%d connections and %d bytes of request memory are left after the last unpin", st.Connections, st.RequestMemory)
	}
}
