package load

import (
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// poller waits for the sockets of subscribers, and owns the buffers that they share. Only one thread uses it.
type poller struct {
	subs   []*subscriber
	epoll  int
	events []unix.EpollEvent
	read   []byte
	void   []byte // mapped without access: the kernel must not write to it, and does not with MSG_TRUNC
	total  *atomic.Int64
}

func newPoller(subs []*subscriber, total *atomic.Int64) (*poller, error) {
	void, err := unix.Mmap(-1, 0, discardBytes, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("load: mmap: %w", err)
	}
	p := &poller{subs: subs, events: make([]unix.EpollEvent, 256), read: make([]byte, 1<<20), void: void, total: total}
	p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	for i, sub := range subs {
		if err == nil {
			err = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, sub.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)})
		}
	}
	if err != nil {
		p.close()
		return nil, fmt.Errorf("load: epoll: %w", err)
	}
	return p, nil
}

func (p *poller) close() {
	_ = unix.Close(p.epoll)
	_ = unix.Munmap(p.void)
}

// wait waits for sockets, at most for the timeout, and lets their subscribers receive. It returns how many subscribers are
// done now.
func (p *poller) wait(timeout time.Duration) (done int, err error) {
	n, err := unix.EpollWait(p.epoll, p.events, int((timeout+time.Millisecond-1)/time.Millisecond))
	if err != nil && err != unix.EINTR {
		return 0, fmt.Errorf("load: epoll: %w", err)
	}
	for _, e := range p.events[:max(n, 0)] {
		sub := p.subs[e.Fd]
		if err := sub.ready(p); err != nil {
			return done, err
		}
		if sub.done {
			_ = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, sub.fd, nil)
			done++
		}
	}
	return done, nil
}
