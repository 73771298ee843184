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

// Bytes of a frame that are read off the loop stay as they are, whatever the client sends after them: its next frames
// are answered from elsewhere, and the memory of both is charged until the last pin is gone.
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
		s.onLoop(func(b *Broker) {
			for slot := range b.conns.all() {
				if slot.in.end == len(frame)-1 {
					slot.pin()
					slot.pin()
					pinned = slot.in.buf[:slot.in.end]
					want = bytes.Clone(pinned)
					used = b.frames.total.Used()
				}
			}
		})
		return want != nil
	})
	c.write(frame[len(frame)-1:])
	c.receive(first, c.next)
	second := kmsg.NewPtrMetadataRequest()
	for range 20 { // small ones first, which fit the same buffer, then one that needs a larger one
		c.ask(second)
		for range 50 {
			second.Topics = append(second.Topics, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr("another-name-that-takes-room")})
		}
	}
	s.onLoop(func(b *Broker) {
		if !bytes.Equal(pinned, want) {
			t.Errorf("pinned bytes were overwritten: %q, want %q", pinned, want)
		}
		if b.frames.total.Used() <= used {
			t.Errorf("%d bytes are charged with frames in several buffers, %d were with one", b.frames.total.Used(), used)
		}
		for slot := range b.conns.all() {
			if slot.in.pins > 0 {
				slot.unpin()
			}
		}
	})
	c.alive()
	c.close()
	s.await("the close", func(st Stats) bool { return st.Closed["peer"] == 1 })
	if st := s.stats(); st.Connections != 1 {
		t.Errorf("%d connections while a frame is pinned, want the one that holds it", st.Connections)
	}
	s.onLoop(func(b *Broker) {
		if !bytes.Equal(pinned, want) {
			t.Error("pinned bytes were overwritten after the close")
		}
		for slot := range b.conns.all() {
			if slot.in.pins > 0 {
				slot.unpin()
			}
		}
	})
	if st := s.stats(); st.Connections != 0 || st.RequestMemory != 0 {
		t.Errorf("%d connections and %d bytes of request memory are left after the last unpin", st.Connections, st.RequestMemory)
	}
}
