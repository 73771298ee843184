package scenario

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/ring/sim"
)

// client is a program that talks to the server, over one connection after the other. It asks, and gets the answers in order.
type client struct {
	world        *World
	name         string
	random       *rand.Rand // its own, so that a client behaves the same whatever others do
	bytesPerTick int
	connection   *sim.Client // nil while there is none
	out          []byte      // not written yet
	in           []byte      // not a whole response yet
	asked        []question
	nextID       int32
	stalledUntil time.Duration // it reads nothing
	ended        func()        // called after its connection has ended, if set
}

// question is a request whose answer has not come.
type question struct {
	id      int32
	request kmsg.Request
	at      time.Duration
	answer  func(kmsg.Response)
}

// newClient makes a client with a generator of its own.
func (w *World) newClient(name string, seed uint64) *client {
	c := &client{world: w, name: name, random: rand.New(rand.NewPCG(seed, 4))}
	c.bytesPerTick = 1 << (8 + c.random.IntN(12))
	w.clients = append(w.clients, c)
	return c
}

// connect connects, if there is no connection. It says whether there is one.
func (c *client) connect() bool {
	if c.connection != nil {
		return true
	}
	connection, err := c.world.machine.Dial(c.world.address, sim.Peer{Received: c.received, BytesPerTick: c.bytesPerTick, ResetAfter: -1,
		Ended: func() { c.end() }})
	if err != nil {
		return false
	}
	c.connection, c.stalledUntil = connection, 0
	return true
}

// ask sends a request. The answer is nil if the connection ends before it comes, or at once if there is none. Without a function to
// call none is expected.
func (c *client) ask(request kmsg.Request, answer func(kmsg.Response)) {
	if !c.connect() {
		if answer != nil {
			answer(nil)
		}
		return
	}
	c.nextID++
	start := len(c.out)
	c.out = append(c.out, 0, 0, 0, 0)
	c.out = binary.BigEndian.AppendUint16(c.out, uint16(request.Key()))
	c.out = binary.BigEndian.AppendUint16(c.out, uint16(request.GetVersion()))
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(c.nextID))
	c.out = binary.BigEndian.AppendUint16(c.out, uint16(len(c.name)))
	c.out = append(c.out, c.name...)
	c.out = request.AppendTo(c.out)
	binary.BigEndian.PutUint32(c.out[start:], uint32(len(c.out)-start-4))
	c.world.trace("%s asks %s", c.name, kmsg.Key(request.Key()).Name())
	if answer != nil {
		c.asked = append(c.asked, question{c.nextID, request, c.world.machine.Now(), answer})
	}
	c.flush()
}

// flush writes what there is room for, and goes on later.
func (c *client) flush() {
	if c.connection == nil || len(c.out) == 0 {
		return
	}
	n, err := c.connection.Write(c.out)
	if err != nil {
		return // the end is reported on its own
	}
	if c.out = c.out[n:]; len(c.out) > 0 {
		connection := c.connection
		c.world.machine.After(time.Millisecond, func() {
			if c.connection == connection {
				c.flush()
			}
		})
	}
}

func (c *client) received(b []byte) {
	c.in = append(c.in, b...)
	for len(c.in) >= 4 {
		size := int(int32(binary.BigEndian.Uint32(c.in)))
		if size < 4 || size > maxResponseBytes {
			c.world.fail("%s got a response of %d bytes", c.name, size)
			c.reset()
			return
		}
		if len(c.in) < 4+size {
			return
		}
		frame := c.in[4 : 4+size]
		c.in = c.in[4+size:]
		c.answered(frame)
	}
}

const maxResponseBytes = 64 << 20

func (c *client) answered(frame []byte) {
	id := int32(binary.BigEndian.Uint32(frame))
	if len(c.asked) == 0 || c.asked[0].id != id {
		c.world.fail("%s got an answer to request %d, %d others wait before it", c.name, id, len(c.asked))
		c.reset()
		return
	}
	q := c.asked[0]
	c.asked = c.asked[1:]
	response := q.request.ResponseKind()
	response.SetVersion(q.request.GetVersion())
	if err := response.ReadFrom(frame[4:]); err != nil {
		c.world.fail("%s: the answer to %s version %d cannot be read: %v", c.name, kmsg.Key(q.request.Key()).Name(), q.request.GetVersion(), err)
		c.reset()
		return
	}
	c.world.trace("%s got %s", c.name, kmsg.Key(q.request.Key()).Name())
	c.world.answers++
	q.answer(response)
}

// reset ends the connection from the client's side.
func (c *client) reset() {
	if c.connection != nil {
		c.connection.Reset()
		c.end()
	}
}

func (c *client) end() {
	if c.connection == nil {
		return
	}
	c.world.trace("%s ended with %d questions open", c.name, len(c.asked))
	asked := c.asked
	c.connection, c.out, c.in, c.asked = nil, nil, nil, nil
	for _, q := range asked {
		q.answer(nil)
	}
	if c.ended != nil {
		c.ended()
	}
}

// idle lets the client read nothing for a while.
func (c *client) idle(d time.Duration) {
	if c.connection != nil {
		c.stalledUntil = c.world.machine.Now() + d
		c.connection.Idle(c.stalledUntil)
	}
}

// vanish ends the client without a word to the server.
func (c *client) vanish() {
	if c.connection != nil {
		c.connection.Vanish()
		c.end()
	}
}

// longestAnswer is how long any request may wait for its answer, longer than every wait that a client asks for.
const longestAnswer = 40 * time.Second

// checkProgress reports questions that wait for too long.
func (c *client) checkProgress() {
	now := c.world.machine.Now()
	if c.connection == nil || len(c.asked) == 0 || now < c.stalledUntil+longestAnswer {
		return
	}
	if q := c.asked[0]; now > q.at+longestAnswer {
		c.world.fail("%s has waited for %v for the answer to %s", c.name, now-q.at, kmsg.Key(q.request.Key()).Name())
	}
}

func (c *client) String() string {
	return fmt.Sprintf("%s with %d questions open", c.name, len(c.asked))
}
