package ring

import (
	"errors"
	"fmt"
	"math"
	"syscall"
	"time"
	"unsafe"

	"github.com/pawelgaczynski/giouring"
	"golang.org/x/sys/unix"
)

// wakeKind is the token kind of the ring's own read on its eventfd. Owners of the ring use the kinds below it.
const wakeKind = 0xff

// Ring is the real [Kernel]: one io_uring with its buffers and its wake-up.
type Ring struct {
	gr      *giouring.Ring
	config  Config
	buffers *buffers
	arena   *Arena
	timeout *syscall.Timespec // in the arena: the kernel reads it during the wait
	waker   *waker
	wakeBuf []byte

	backlog  backlog
	inFlight int
	reaped   []Completion
	collect  func(*giouring.CompletionQueueEvent)
	stats    Stats
	start    time.Time
	closed   bool
}

var _ Kernel = (*Ring)(nil)

// New makes a ring. The calling goroutine must be locked to its thread (runtime.LockOSThread) and stay so: the kernel
// accepts submissions and waits from the thread that made the ring, and no other.
func New(config Config) (*Ring, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	gr, err := setup(config)
	if err != nil {
		return nil, err
	}
	r := &Ring{gr: gr, config: config, start: time.Now()}
	if err := r.fit(); err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Ring) fit() error {
	if err := capWorkers(r.gr, r.config.Workers); err != nil {
		return err
	}
	var err error
	if r.arena, err = NewArena(4096); err != nil {
		return err
	}
	r.timeout = (*syscall.Timespec)(unsafe.Pointer(unsafe.SliceData(r.arena.Take(int(unsafe.Sizeof(syscall.Timespec{}))))))
	if r.buffers, err = newBuffers(r.gr, r.config.RecvBuffers, r.config.RecvBufferBytes); err != nil {
		return fmt.Errorf("ring: registering %d receive buffers (needs Linux 5.19): %w", r.config.RecvBuffers, err)
	}
	if r.waker, err = newWaker(); err != nil {
		return err
	}
	r.wakeBuf = r.arena.Take(8)
	// The completion queue never holds more than its size, so neither does this.
	r.reaped = make([]Completion, 0, r.config.CompletionEntries)
	r.collect = func(e *giouring.CompletionQueueEvent) {
		r.reaped = append(r.reaped, Completion{Token: Token(e.UserData), Result: e.Res, flags: e.Flags})
	}
	r.armWake()
	return nil
}

// Queue implements [Kernel].
func (r *Ring) Queue(op Op) {
	op.Assert()
	r.assertOpen()
	r.inFlight++
	r.stats.ByOpcode[op.Code]++
	if r.backlog.len() == 0 && r.enter(&op) {
		return
	}
	r.stats.QueuedWhenFull++
	r.backlog.push(op)
	r.stats.BacklogMax = max(r.stats.BacklogMax, uint64(r.backlog.len()))
}

// enter puts op into the submission queue, if that has room.
func (r *Ring) enter(op *Op) bool {
	sqe := r.gr.GetSQE()
	if sqe == nil {
		return false
	}
	prepare(sqe, op)
	return true
}

// Wait implements [Kernel].
func (r *Ring) Wait(timeout time.Duration) ([]Completion, error) {
	r.assertOpen()
	r.reaped = r.reaped[:0]
	r.refill()
	// More waits in the backlog: submit what fits and come back at once.
	if r.backlog.len() > 0 || r.overflown() {
		timeout = 0
	}
	if err := r.submitAndWait(timeout); err != nil {
		return nil, err
	}
	r.gr.ForEachCQE(r.collect)
	r.gr.CQAdvance(uint32(len(r.reaped)))
	r.stats.Completed += uint64(len(r.reaped))
	r.account()
	return r.reaped, nil
}

// refill moves operations from the backlog to the submission queue, in order.
func (r *Ring) refill() {
	for r.backlog.len() > 0 && r.enter(r.backlog.first()) {
		r.backlog.drop()
	}
}

func (r *Ring) overflown() bool {
	if !r.gr.CQHasOverflow() {
		return false
	}
	r.stats.CQOverflows++
	return true
}

// submitAndWait is one io_uring_enter. A timeout or a signal is not an error here: the caller looks at the completions, of
// which there may be none.
func (r *Ring) submitAndWait(timeout time.Duration) error {
	ready := r.gr.SQReady()
	r.stats.Enters++
	var err error
	switch {
	case timeout == 0:
		_, err = r.gr.SubmitAndGetEvents()
	case timeout < 0:
		_, err = r.gr.SubmitAndWait(1)
	default:
		*r.timeout = syscall.NsecToTimespec(int64(timeout))
		_, err = r.gr.SubmitAndWaitTimeout(1, r.timeout, nil)
	}
	r.stats.Submitted += uint64(ready - r.gr.SQReady())
	switch {
	case err == nil, errors.Is(err, syscall.EINTR), errors.Is(err, syscall.EAGAIN),
		errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.ETIME):
		return nil
	}
	return fmt.Errorf("ring: io_uring_enter: %w", err)
}

// account updates the count in flight, and removes the ring's own wake-up from the completions.
func (r *Ring) account() {
	keep := r.reaped[:0]
	for _, c := range r.reaped {
		if c.Token.Kind() == wakeKind {
			r.armWake()
			continue
		}
		if !c.More() {
			if r.inFlight--; r.inFlight < 0 {
				panic("ring: more operations completed than were queued: " + c.Token.String())
			}
		}
		if c.HasBuffer() {
			r.buffers.received(c)
		}
		if c.Result == -int32(unix.ENOBUFS) {
			r.stats.NoBuffers++
		}
		keep = append(keep, c)
	}
	r.reaped = keep
}

// armWake reads the eventfd by the ring, so that a write to it ends a Wait. It bypasses the backlog's counters: it is
// not an operation of the owner's.
func (r *Ring) armWake() {
	op := Read(NewToken(wakeKind, 0, 0), r.waker.fd, r.wakeBuf, 0)
	if r.backlog.len() > 0 || !r.enter(&op) {
		r.backlog.push(op)
	}
}

// Wake implements [Kernel].
func (r *Ring) Wake() { r.waker.wake() }

// InFlight implements [Kernel].
func (r *Ring) InFlight() int { return r.inFlight }

// Buffer implements [Kernel].
func (r *Ring) Buffer(c Completion) []byte { return r.buffers.bytes(c) }

// ReleaseBuffer implements [Kernel].
func (r *Ring) ReleaseBuffer(c Completion) { r.buffers.release(c) }

func (r *Ring) assertOpen() {
	if r.closed {
		panic("ring: the ring is used after it was closed")
	}
}

// Stats implements [Kernel].
func (r *Ring) Stats() Stats { return r.stats }

// Now implements [Kernel].
func (r *Ring) Now() time.Duration { return time.Since(r.start) }

// Close implements [Kernel].
func (r *Ring) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	if r.buffers != nil {
		r.buffers.close(r.gr)
	}
	err := unregisterRingFd(r.gr)
	r.gr.QueueExit()
	if r.waker != nil {
		r.waker.close()
	}
	if r.arena != nil {
		_ = r.arena.Close()
	}
	return err
}

// backlog is a first-in-first-out queue of operations for which the submission queue had no room. Its size is bounded
// by what its owners can have in flight: a fixed number of operations for each slot.
type backlog struct {
	ops  []Op
	head int
}

func (b *backlog) len() int   { return len(b.ops) - b.head }
func (b *backlog) first() *Op { return &b.ops[b.head] }

func (b *backlog) push(op Op) {
	if b.head > 0 && len(b.ops) == cap(b.ops) {
		b.ops = b.ops[:copy(b.ops, b.ops[b.head:])]
		b.head = 0
	}
	if len(b.ops) >= math.MaxInt32 {
		panic("ring: the backlog has no bound")
	}
	b.ops = append(b.ops, op)
}

func (b *backlog) drop() {
	b.head++
	if b.head == len(b.ops) {
		b.ops, b.head = b.ops[:0], 0
	}
}
