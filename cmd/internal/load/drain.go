package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// DrainOptions say what a set of subscribers reads and how.
type DrainOptions struct {
	// Address is the broker's, Topic the topic whose partition 0 is read.
	Address, Topic string
	Subscribers    int
	// FetchBytes limits the response to one fetch.
	FetchBytes int
	MaxWait    time.Duration
	// Discard lets the kernel discard payloads, which are then not checked.
	Discard bool
	// Layout describes the published log; a subscriber is done at its end. Without a layout it is never done.
	Layout *Layout
	// StartOffset is where subscribers without a layout begin.
	StartOffset int64
	// Threads is the number of epoll threads; 0 means one.
	Threads int
}

func (o *DrainOptions) start() int64 {
	if o.Layout != nil {
		return o.Layout.Start
	}
	return o.StartOffset
}

// Drained has the figures of a drain.
type Drained struct {
	Seconds float64
	// Bytes is the payload that all subscribers received.
	Bytes int64
	// SubscriberSeconds is how long each subscriber took, in ascending order.
	SubscriberSeconds []float64
	// CPUSeconds is the CPU time of this process meanwhile.
	CPUSeconds float64
}

// Quantile is the time within which a share of the subscribers was done, in seconds.
func (d *Drained) Quantile(q float64) float64 {
	if len(d.SubscriberSeconds) == 0 {
		return 0
	}
	i := int(q*float64(len(d.SubscriberSeconds)) + 0.5)
	return d.SubscriberSeconds[min(max(i-1, 0), len(d.SubscriberSeconds)-1)]
}

// Set is a number of connected subscribers.
type Set struct {
	options DrainOptions
	subs    []*subscriber
	total   atomic.Int64
}

// Connect connects all subscribers; none of them fetches yet. It calls progress, which may be nil, after each.
func Connect(ctx context.Context, o DrainOptions, progress func(connected int)) (*Set, error) {
	s := &Set{options: o}
	for i := range o.Subscribers {
		if err := ctx.Err(); err != nil {
			s.Close()
			return nil, err
		}
		fd, err := connect(o.Address, i)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("load: subscriber %d of %d: %w", i+1, o.Subscribers, err)
		}
		s.subs = append(s.subs, newSubscriber(fd, &s.options))
		if progress != nil {
			progress(i + 1)
		}
	}
	return s, nil
}

// connectionsPerSource stays below the number of ephemeral ports of one source address.
const connectionsPerSource = 20000

// connect makes the i-th connection. On loopback every connectionsPerSource of them come from another source address.
func connect(address string, i int) (int, error) {
	dialer := net.Dialer{Timeout: controlTimeout}
	if host, _, err := net.SplitHostPort(address); err == nil && net.ParseIP(host).IsLoopback() && i >= connectionsPerSource {
		dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i/connectionsPerSource))}
	}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return -1, err
	}
	defer func() { _ = conn.Close() }()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	cerr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(cerr, err)
}

// Close closes all connections.
func (s *Set) Close() {
	for _, sub := range s.subs {
		_ = unix.Close(sub.fd)
	}
	s.subs = nil
}

// ExpectedBytes is how much all subscribers together will receive.
func (s *Set) ExpectedBytes() int64 { return s.options.Layout.Bytes * int64(len(s.subs)) }

// Received is how many payload bytes have arrived so far. It may be called from any goroutine.
func (s *Set) Received() int64 { return s.total.Load() }

// Drain lets all subscribers fetch until they are done. The first that fails ends the drain.
func (s *Set) Drain(ctx context.Context) (*Drained, error) {
	cpu, started := processCPU(), time.Now()
	if err := s.run(ctx, nil); err != nil {
		return nil, err
	}
	d := &Drained{Seconds: time.Since(started).Seconds(), CPUSeconds: processCPU() - cpu}
	for _, sub := range s.subs {
		d.Bytes += sub.received
		d.SubscriberSeconds = append(d.SubscriberSeconds, sub.finished.Sub(sub.started).Seconds())
		if !s.options.Discard && sub.check.digest != s.subs[0].check.digest {
			return nil, fmt.Errorf("%w: two subscribers received different batches", ErrWrongBytes)
		}
	}
	slices.Sort(d.SubscriberSeconds)
	return d, nil
}

// run drives all subscribers on the threads until they are done or ctx ends. The end of ctx is no error for subscribers
// without a layout.
func (s *Set) run(ctx context.Context, setUp func(thread int, sub *subscriber)) error {
	threads := min(max(s.options.Threads, 1), max(len(s.subs), 1))
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var wg sync.WaitGroup
	for t := range threads {
		var own []*subscriber
		for i := t; i < len(s.subs); i += threads {
			own = append(own, s.subs[i])
			if setUp != nil {
				setUp(t, s.subs[i])
			}
		}
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			if err := s.thread(running, own); err != nil {
				fail(err)
			}
		})
	}
	wg.Wait()
	if s.options.Layout == nil && ctx.Err() != nil {
		return nil
	}
	return context.Cause(running)
}

// thread drives some of the subscribers until they are done or ctx ends.
func (s *Set) thread(ctx context.Context, subs []*subscriber) error {
	p, err := newPoller(subs, &s.total)
	if err != nil {
		return err
	}
	defer p.close()
	for _, sub := range subs {
		if !sub.started.IsZero() {
			continue // a slow one has sent its fetch already
		}
		sub.started = time.Now()
		if err := sub.fetch(); err != nil {
			return err
		}
	}
	for left := len(subs); left > 0 && ctx.Err() == nil; {
		done, err := p.wait(200 * time.Millisecond)
		if err != nil {
			return err
		}
		left -= done
	}
	return nil
}

// processCPU is the CPU time of this process in seconds.
func processCPU() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
