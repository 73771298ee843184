package ring

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Listen implements [Kernel].
func (r *Ring) Listen(socket, backlog int) (poll int, err error) {
	if err := unix.Listen(socket, backlog); err != nil {
		return -1, fmt.Errorf("ring: listen: %w", err)
	}
	poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("ring: epoll_create1: %w", err)
	}
	if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, socket, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(socket)}); err != nil {
		_ = unix.Close(poll)
		return -1, fmt.Errorf("ring: epoll_ctl: %w", err)
	}
	return poll, nil
}

// Accept implements [Kernel].
func (r *Ring) Accept(socket int) (int, error) {
	connection, _, err := unix.Accept4(socket, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return connection, err
}

// LocalAddress implements [Kernel].
func (r *Ring) LocalAddress(socket int) string { return LocalAddress(socket) }

// PeerAddress implements [Kernel].
func (r *Ring) PeerAddress(socket int) string { return hostPort(unix.Getpeername(socket)) }

// LocalAddress is the address that a socket is bound to, as host:port.
func LocalAddress(socket int) string { return hostPort(unix.Getsockname(socket)) }

// hostPort is a socket's address, or "?" if the kernel would not tell.
func hostPort(sa unix.Sockaddr, err error) string {
	if err != nil {
		return "?"
	}
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)).String()
	}
	return "?"
}
