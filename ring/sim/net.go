package sim

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"syscall"
	"time"

	"oneplusn/segment/mark"
)

// piece is bytes on their way: a reference, not a copy, as splice has it.
type piece []byte

// Socket is a connection, seen from the side under test.
type Socket struct {
	machine *Machine
	fd      int
	local   string
	remote  string

	queued   []piece // for the peer
	space    int     // for more
	inbound  []byte  // from the peer, not received yet
	finished bool    // the peer sends no more
	shut     bool    // shut down from this side
	closed   bool    // its descriptor, which comes after
	wasReset bool    // by the peer
	vanished bool    // the peer neither reads nor sends, and nobody is told
	peer     Peer
	reading  bool // the peer will read
	wasFull  bool // the peer could not write all that it had
	// operations are those that wait for the socket.
	operations waiting
	copied     []byte // what of the queued bytes is a copy
}

// Peer is the reader at the other end of a socket.
type Peer struct {
	// Received is called with the bytes, in order.
	Received func(b []byte)
	// Ended is called when no more will come: after all bytes if the server has closed, or at once after a reset. It may be nil.
	Ended func()
	// Room is called when the server's socket has room again after a [Client.Write] that wrote less than was asked for. It may be nil.
	Room func()
	// BytesPerTick is the most that it reads at once.
	BytesPerTick int
	// IdleUntil is when it begins to read.
	IdleUntil time.Duration
	// ResetAfter is how many bytes it takes before it resets the connection; negative for never.
	ResetAfter int
}

// NewSocket makes a connection to a peer that only reads.
func (k *Kernel) NewSocket(peer Peer) *Socket {
	s := &Socket{machine: k.machine, space: k.machine.options.SendBufferBytes, peer: peer}
	s.opened(k)
	return s
}

func (s *Socket) opened(k *Kernel) {
	s.fd = k.open(s)
	m := k.machine
	m.sockets = append(slices.DeleteFunc(m.sockets, (*Socket).gone), s)
}

// Fd is the socket's descriptor.
func (s *Socket) Fd() int { return s.fd }

// Dead says that nothing more will reach the peer.
func (s *Socket) Dead() bool { return s.shut || s.wasReset }

func (k *Kernel) open(object any) (fd int) {
	fd = k.nextFD
	k.nextFD++
	k.objects[fd] = object
	return fd
}

// gone says that nothing more can happen to the socket.
func (s *Socket) gone() bool { return s.wasReset || s.closed && (len(s.queued) == 0 || s.vanished) }

// readable says that a recv completes.
func (s *Socket) readable() bool { return len(s.inbound) > 0 || s.finished || s.Dead() }

// wake lets the operations go on that wait for the socket.
func (s *Socket) wake(reading, writing bool, within time.Duration) {
	s.operations.wake(reading, writing, s.machine, within)
}

// peerWillRead lets the peer read when the bytes have come and it is not idle.
func (s *Socket) peerWillRead() {
	if !s.reading {
		s.reading = true
		m := s.machine
		m.events.add(max(m.now+m.upTo(m.options.NetworkTime), s.peer.IdleUntil), s)
	}
}

// happen lets the peer read.
func (s *Socket) happen() {
	s.reading = false
	if s.gone() || s.vanished || len(s.queued) == 0 {
		return
	}
	if s.machine.now >= s.peer.IdleUntil {
		s.peerReads()
	}
	if len(s.queued) > 0 {
		s.peerWillRead()
	}
}

func (s *Socket) peerReads() {
	left, read := 1+s.machine.random.IntN(s.peer.BytesPerTick), 0
	for left > 0 && read < len(s.queued) {
		n := min(left, len(s.queued[read]))
		if s.peer.ResetAfter >= 0 {
			n = min(n, s.peer.ResetAfter)
		}
		b := s.queued[read][:n]
		s.space += n
		left -= n
		if s.queued[read] = s.queued[read][n:]; len(s.queued[read]) == 0 {
			read++
		}
		s.peer.Received(b)
		if s.peer.ResetAfter >= 0 {
			if s.peer.ResetAfter -= n; s.peer.ResetAfter == 0 {
				s.reset()
			}
		}
	}
	if s.queued = slices.Delete(s.queued, 0, min(read, len(s.queued))); len(s.queued) == 0 {
		s.copied = s.copied[:0]
	}
	s.wake(false, true, inlineTime)
	if s.shut && len(s.queued) == 0 {
		s.end()
	}
}

// reset ends the connection from the peer's side.
func (s *Socket) reset() {
	if s.wasReset {
		return
	}
	mark.Hit("a client reset its connection, or the machine did")
	s.wasReset, s.queued, s.inbound, s.copied = true, nil, nil, nil
	s.wake(true, true, inlineTime)
	s.end()
}

// close closes the server's end. Like TCP, it resets the connection if the server has not read all that came.
func (s *Socket) close() {
	s.shut, s.closed = true, true
	switch {
	case len(s.inbound) > 0:
		mark.Hit("the server closed a connection with bytes that it had not read")
		s.reset()
	case len(s.queued) == 0:
		s.end()
	}
}

// end tells the peer, once.
func (s *Socket) end() {
	if f := s.peer.Ended; f != nil {
		s.peer.Ended = nil
		f()
	}
}

// copyBytes is what is allocated at once for copies of what is sent.
const copyBytes = 16 << 10

// put queues bytes for the peer.
func (s *Socket) put(b []byte) {
	if len(b) == 0 || len(b) > s.space {
		panic(fmt.Sprintf("sim: %d bytes are put into a socket with room for %d", len(b), s.space))
	}
	s.queued = append(s.queued, piece(b))
	s.space -= len(b)
	s.peerWillRead()
}

// putCopy queues a copy of bytes.
func (s *Socket) putCopy(b []byte) {
	if len(s.copied)+len(b) > cap(s.copied) {
		s.copied = make([]byte, 0, max(len(b), copyBytes))
	}
	s.copied = append(s.copied, b...)
	s.put(s.copied[len(s.copied)-len(b):])
}

// take drops bytes that were received.
func (s *Socket) take(n int) {
	s.inbound = s.inbound[:copy(s.inbound, s.inbound[n:])]
	if s.wasFull && s.peer.Room != nil {
		s.machine.After(s.machine.upTo(s.machine.options.NetworkTime), func() {
			if !s.Dead() && !s.vanished {
				s.peer.Room()
			}
		})
	}
	s.wasFull = false
}

// Shutdown implements [ring.Kernel]. What the peer has not read yet still reaches it.
func (k *Kernel) Shutdown(socket int) {
	s, ok := k.objects[socket].(*Socket)
	if !ok {
		k.violate("descriptor %d is shut down and is no open socket", socket)
		return
	}
	s.shut = true
	s.wake(true, true, inlineTime)
	if len(s.queued) == 0 {
		s.end()
	}
}

// Client is the other end of a connection to a program that listens.
type Client struct {
	machine *Machine
	socket  *Socket // the server's end; before it is accepted too
}

// listener is a socket that was bound.
type listener struct {
	machine *Machine
	address string
	fd      int
	listens bool
	waiting []*Socket
	// operations are those that wait for connections.
	operations waiting
}

func (l *listener) close() {
	if l.machine.listeners[l.address] == l {
		delete(l.machine.listeners, l.address)
	}
	for _, s := range l.waiting {
		s.reset()
	}
	l.waiting = nil
}

// Bind makes a socket and binds it. The port 0 takes a free one.
func (k *Kernel) Bind(address string) (fd int, bound string, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return -1, "", err
	}
	m := k.machine
	if port == "0" {
		m.nextPort++
		address = net.JoinHostPort(host, strconv.Itoa(m.nextPort))
	}
	if m.listeners[address] != nil {
		return -1, "", syscall.EADDRINUSE
	}
	l := &listener{machine: m, address: address}
	m.listeners[address] = l
	l.fd = k.open(l)
	return l.fd, address, nil
}

// Listen begins to listen on a bound socket. It returns a descriptor to poll, which can be read from while connections wait.
func (k *Kernel) Listen(socket, backlog int) (poll int, err error) {
	l, ok := k.objects[socket].(*listener)
	if !ok {
		k.violate("descriptor %d listens and is no bound socket", socket)
		return -1, syscall.EBADF
	}
	l.listens = true
	return k.open(l), nil
}

// acceptErrors are what an accept may fail with for the sake of one client, or for a while.
var acceptErrors = []syscall.Errno{syscall.ECONNABORTED, syscall.EINTR, syscall.EMFILE, syscall.ENOBUFS, syscall.EPERM}

// Accept is accept4(2) on a non-blocking socket.
func (k *Kernel) Accept(socket int) (fd int, err error) {
	l, ok := k.objects[socket].(*listener)
	if !ok {
		k.violate("descriptor %d accepts and is no open socket", socket)
		return -1, syscall.EBADF
	}
	if len(l.waiting) == 0 {
		return -1, syscall.EAGAIN
	}
	if k.machine.oneIn(k.machine.options.AcceptOneIn) {
		mark.Hit("the machine let an accept fail")
		return -1, acceptErrors[k.machine.random.IntN(len(acceptErrors))]
	}
	s := l.waiting[0]
	l.waiting = l.waiting[1:]
	s.opened(k)
	return s.fd, nil
}

// Dial connects to a program that listens. It is refused if there is none.
func (m *Machine) Dial(address string, peer Peer) (*Client, error) {
	l := m.listeners[address]
	if l == nil || !l.listens {
		return nil, syscall.ECONNREFUSED
	}
	m.nextPort++
	s := &Socket{machine: m, fd: -1, local: address, remote: net.JoinHostPort("127.0.0.1", strconv.Itoa(m.nextPort)),
		space: m.options.SendBufferBytes, peer: peer}
	l.waiting = append(l.waiting, s)
	l.operations.wake(true, true, m, m.options.NetworkTime)
	return &Client{machine: m, socket: s}, nil
}

// Write sends as much of b as the server's socket has room for, and says how much that was. The error is that of a connection that has
// ended.
func (c *Client) Write(b []byte) (int, error) {
	s := c.socket
	switch {
	case s.wasReset || s.shut:
		return 0, syscall.EPIPE
	case s.finished:
		return 0, syscall.ESHUTDOWN
	case s.vanished:
		return len(b), nil
	}
	n := min(len(b), max(c.machine.options.ReceiveBufferBytes-len(s.inbound), 0))
	s.inbound = append(s.inbound, b[:n]...)
	s.wasFull = n < len(b)
	s.wake(true, false, c.machine.options.NetworkTime)
	return n, nil
}

// Idle lets the client read nothing until then, which may be sooner than it was to read until now.
func (c *Client) Idle(until time.Duration) {
	s := c.socket
	if s.peer.IdleUntil = until; s.reading {
		s.reading = false
		s.peerWillRead()
	}
}

// CloseWrite says that nothing more comes. The client still reads.
func (c *Client) CloseWrite() {
	c.socket.finished = true
	c.socket.wake(true, false, c.machine.options.NetworkTime)
}

// Reset ends the connection, with what is under way both ways.
func (c *Client) Reset() { c.socket.peer.Ended = nil; c.socket.reset() }

// Vanish lets the client neither read nor send any more, and nobody is told.
func (c *Client) Vanish() { c.socket.peer.Ended, c.socket.vanished = nil, true }

// Address is the client's, as the server sees it.
func (c *Client) Address() string { return c.socket.remote }

// LocalAddress is the address that a client connected to.
func (k *Kernel) LocalAddress(socket int) string { return k.socketAt(socket).local }

// PeerAddress is the address of a client.
func (k *Kernel) PeerAddress(socket int) string { return k.socketAt(socket).remote }

func (k *Kernel) socketAt(fd int) *Socket {
	s, ok := k.objects[fd].(*Socket)
	if !ok {
		k.violate("descriptor %d is asked for its address and is no open socket", fd)
		return &Socket{local: "?", remote: "?"}
	}
	return s
}
