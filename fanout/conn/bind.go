package conn

import (
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"oneplusn/ring"
)

// listenBacklog is how many connections may wait to be accepted; the kernel caps it at net.core.somaxconn.
const listenBacklog = 4096

// A server that stops keeps its port until its last file is closed; the one started in its place waits for it.
const (
	BusyPortWait = 3 * time.Second
	BusyPortPoll = 20 * time.Millisecond
)

// Bind makes a TCP socket and binds it, which reserves the address: clients are refused until the loop listens.
// Accepted sockets inherit its options. A port that is in use is waited for.
func Bind(address string, sendBufferBytes int, busyWait time.Duration) (*Listener, error) {
	if address == "" {
		return nil, errors.New("--listen is empty, it must be host:port")
	}
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--listen %q: %w", address, err)
	}
	family, sa := sockaddr(addr)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, fmt.Errorf("cannot make a socket to listen: %w", err)
	}
	err = optionsAndBind(fd, sa, sendBufferBytes)
	for waited := time.Duration(0); errors.Is(err, unix.EADDRINUSE) && waited < busyWait; waited += BusyPortPoll {
		<-time.After(BusyPortPoll)
		err = unix.Bind(fd, sa)
	}
	if err != nil {
		_ = unix.Close(fd)
		remedy := ""
		if errors.Is(err, unix.EADDRINUSE) {
			remedy = ": another program has this port: stop it, or choose another with --listen"
		}
		return nil, fmt.Errorf("cannot listen on %s: %w%s", address, err, remedy)
	}
	return NewListener(fd, ring.LocalAddress(fd), func(fd int) { _ = unix.Close(fd) }), nil
}

// Address is where clients connect to, as bound.
func (a *Listener) Address() string { return a.address }

func optionsAndBind(fd int, sa unix.Sockaddr, sendBufferBytes int) error {
	options := []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	}
	if sendBufferBytes > 0 {
		options = append(options, struct{ level, name, value int }{unix.SOL_SOCKET, unix.SO_SNDBUF, sendBufferBytes})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return err
		}
	}
	return unix.Bind(fd, sa)
}

func sockaddr(addr *net.TCPAddr) (family int, sa unix.Sockaddr) {
	if ip4 := addr.IP.To4(); ip4 != nil {
		return unix.AF_INET, &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(ip4)}
	}
	six := &unix.SockaddrInet6{Port: addr.Port}
	copy(six.Addr[:], addr.IP.To16()) // no address at all is [::], which serves IPv4 too
	return unix.AF_INET6, six
}
