package scenario

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/ring/sim"
)

// session is a client's connection: it asks, and gets the answers in order.
type session struct {
	world  *World
	name   string
	client *sim.Client
	out    []byte // not written yet
	in     []byte // not a whole response yet
	asked  []question
	nextID int32
	ended  bool
	onEnd  func() // called once when the connection ends
}

// question is a request whose answer has not come.
type question struct {
	id      int32
	request kmsg.Request
	answer  func(kmsg.Response)
}

// connect opens a connection, which the server may refuse.
func (w *World) connect(name string, bytesPerTick int, onEnd func()) (*session, error) {
	s := &session{world: w, name: name, onEnd: onEnd}
	client, err := w.machine.Dial(w.address, sim.Peer{Received: s.received, Ended: s.end, BytesPerTick: bytesPerTick, ResetAfter: -1})
	s.client = client
	return s, err
}

// ask sends a request. answer is nil if none will come (acks=0).
func (s *session) ask(request kmsg.Request, answer func(kmsg.Response)) {
	if s.ended {
		return
	}
	s.nextID++
	start := len(s.out)
	s.out = append(s.out, 0, 0, 0, 0)
	s.out = binary.BigEndian.AppendUint16(s.out, uint16(request.Key()))
	s.out = binary.BigEndian.AppendUint16(s.out, uint16(request.GetVersion()))
	s.out = binary.BigEndian.AppendUint32(s.out, uint32(s.nextID))
	s.out = binary.BigEndian.AppendUint16(s.out, uint16(len(s.name)))
	s.out = append(s.out, s.name...)
	s.out = request.AppendTo(s.out)
	binary.BigEndian.PutUint32(s.out[start:], uint32(len(s.out)-start-4))
	if answer != nil {
		s.asked = append(s.asked, question{s.nextID, request, answer})
	}
	s.flush()
}

// flush writes what there is room for, and goes on later.
func (s *session) flush() {
	if s.ended || len(s.out) == 0 {
		return
	}
	n, err := s.client.Write(s.out)
	if err != nil {
		return // the end is reported on its own
	}
	if s.out = s.out[n:]; len(s.out) > 0 {
		s.world.machine.After(200*time.Microsecond, s.flush)
	}
}

func (s *session) received(b []byte) {
	s.in = append(s.in, b...)
	for len(s.in) >= 4 && !s.ended {
		size := int(int32(binary.BigEndian.Uint32(s.in)))
		if size < 4 || size > maxResponse {
			s.world.fail("%s got a response of %d bytes", s.name, size)
			s.reset()
			return
		}
		if len(s.in) < 4+size {
			return
		}
		frame := s.in[4 : 4+size]
		s.in = s.in[4+size:]
		s.answered(frame)
	}
}

const maxResponse = 64 << 20

func (s *session) answered(frame []byte) {
	id := int32(binary.BigEndian.Uint32(frame))
	if len(s.asked) == 0 || s.asked[0].id != id {
		s.world.fail("%s got an answer to request %d, %d others wait before it", s.name, id, len(s.asked))
		s.reset()
		return
	}
	q := s.asked[0]
	s.asked = s.asked[1:]
	response := q.request.ResponseKind()
	response.SetVersion(q.request.GetVersion())
	if err := response.ReadFrom(frame[4:]); err != nil {
		s.world.fail("%s: the answer to %s version %d cannot be read: %v", s.name, kmsg.Key(q.request.Key()).Name(), q.request.GetVersion(), err)
		s.reset()
		return
	}
	s.world.trace("%s got %s", s.name, kmsg.Key(q.request.Key()).Name())
	q.answer(response)
}

// reset ends the connection from the client's side.
func (s *session) reset() {
	if !s.ended {
		s.client.Reset()
		s.end()
	}
}

func (s *session) end() {
	if s.ended {
		return
	}
	s.ended = true
	s.world.trace("%s ended with %d questions open", s.name, len(s.asked))
	if s.onEnd != nil {
		s.onEnd()
	}
}

func (s *session) String() string {
	return fmt.Sprintf("%s with %d questions open", s.name, len(s.asked))
}
