package conn

import (
	"fmt"

	"golang.org/x/sys/unix"

	"oneplusn/fanout/loop"
	"oneplusn/ring"
	"oneplusn/segment/mark"
)

// Listener takes new connections from a bound socket.
type Listener struct {
	loop    *loop.Loop
	address string // as bound
	socket  int
	pollFD  int // see [ring.Kernel]; -1 while there is none
	polling bool
	// closeFD closes a descriptor, also before there is a kernel.
	closeFD func(fd int)
	// paused: accept failed, and would fail again at once. The next sweep retries, and so does the close of a connection.
	paused bool
	inARow int // failures since the last accepted connection
	log    loop.LogLimit
}

// NewListener makes a listener of a bound socket that does not block.
func NewListener(socket int, address string, closeFD func(fd int)) *Listener {
	return &Listener{socket: socket, address: address, pollFD: -1, closeFD: closeFD}
}

const (
	// acceptsPerTurn bounds the connections accepted in one turn: others are served in between.
	acceptsPerTurn = 64
	// AcceptFailures is how many failures in a row are blamed on single connections, before accepting pauses.
	AcceptFailures = 16
)

// listen begins to listen.
func (a *Listener) listen(l *loop.Loop) error {
	a.loop = l
	var err error
	if a.pollFD, err = l.Kernel.Listen(a.socket, listenBacklog); err != nil {
		return fmt.Errorf("cannot listen on %s: %w", a.address, err)
	}
	a.arm()
	return nil
}

var acceptToken = ring.NewToken(KindAccept, 0, 0)

// arm waits for the next connection.
func (a *Listener) arm() {
	a.paused = false
	if !a.polling {
		a.polling = true
		a.loop.Kernel.Queue(ring.Poll(acceptToken, a.pollFD, unix.POLLIN))
	}
}

// take accepts the connections that wait and passes them to open. It arms the poll again unless it has to pause.
func (a *Listener) take(open func(fd int)) {
	for range acceptsPerTurn {
		fd, err := a.loop.Kernel.Accept(a.socket)
		if err == nil {
			a.inARow = 0
			open(fd)
			continue
		}
		if err == unix.EAGAIN {
			break
		}
		if a.failed(err) {
			return
		}
	}
	a.arm()
}

// failed classifies a failure, and says whether to pause.
func (a *Listener) failed(err error) bool {
	a.inARow++
	remedy, short := "", false
	switch err {
	case unix.EINTR, unix.ECONNABORTED: // the client has gone
		mark.Hit("a client left before it was accepted")
	case unix.EMFILE, unix.ENFILE:
		remedy, short = "raise the limit on open files (ulimit -n)", true
	case unix.ENOBUFS, unix.ENOMEM:
		short = true
		remedy = "the kernel is short of memory for sockets (net.ipv4.tcp_mem, or the cgroup's limit)"
	case unix.EPERM:
		remedy = "a firewall or security module forbids the connection"
	default:
		remedy = "an error of the network, or of the listening socket: restart the server if it stays"
	}
	mark.HitIf(short, "accepting paused for lack of descriptors or memory")
	a.paused = short || a.inARow >= AcceptFailures
	if remedy != "" {
		a.log.Warn(a.loop, "cannot accept connections", "error", err, "pause", a.paused, "remedy", remedy)
	}
	return a.paused
}

// retry goes on after a pause.
func (a *Listener) retry() {
	if a.paused {
		a.inARow = 0
		a.arm()
	}
}

// stop ends listening: at once, or when the poll has been cancelled.
func (a *Listener) stop() {
	a.paused = false
	if a.polling {
		a.loop.Kernel.Queue(ring.CancelToken(ring.NewToken(KindCancel, noSlot, 0), acceptToken))
		return
	}
	a.Close()
}

// Close closes the socket, which refuses the clients that wait to be accepted.
func (a *Listener) Close() {
	for _, fd := range []*int{&a.socket, &a.pollFD} {
		if *fd >= 0 {
			a.closeFD(*fd)
		}
		*fd = -1
	}
}
