package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"oneplusn/ring"
	"oneplusn/segment/mark"
)

// Kernel is the kernel as one program sees it, with the program's descriptors, operations and threads. It is a [ring.Kernel].
type Kernel struct {
	// InlineWrites says that the loop's own thread may write to files: the page cache has room.
	InlineWrites bool

	machine   *Machine
	objects   map[int]any // *File, *pipe (under both of its ends), *Socket or *listener (under both of its), by descriptor
	nextFD    int
	pipes     int
	pending   []*operation
	completed []ring.Completion
	receive   receiveBuffers
	jobs      []func()
	inJob     bool
	woken     bool
	stats     ring.Stats
	serving   bool // Wait was called
	killed    bool
	closed    bool
}

// operation is one that was queued and has not completed.
type operation struct {
	ring.Op
	done      int // bytes moved by a send that has to move all
	tried     bool
	cancelled bool
	was       []byte // what is sent, as it was when it was queued
}

var _ ring.Kernel = (*Kernel)(nil)

// New makes a machine with one program, whose run is decided by the seed.
func New(seed uint64, o Options) *Kernel { return NewMachine(seed, o).Start() }

// Start starts a program.
func (m *Machine) Start() *Kernel { return &Kernel{machine: m, objects: make(map[int]any), nextFD: 3} }

// Random is the machine's generator.
func (k *Kernel) Random() *rand.Rand { return k.machine.random }

// Violations are the machine's.
func (k *Kernel) Violations() []string { return k.machine.violations }

// violate reports a rule that was broken, unless the program is dead: nobody cleans up after it.
func (k *Kernel) violate(format string, args ...any) {
	if !k.killed {
		k.machine.violate(format, args...)
	}
}

// Go runs f on another thread of the program: at some time in a later Wait, whole, and in any order.
func (k *Kernel) Go(f func()) { k.jobs = append(k.jobs, f) }

// mayBlock reports an operation of the loop's own thread that could wait for the disk.
func (k *Kernel) mayBlock(op, name string) {
	if k.serving && !k.inJob && !k.killed {
		k.violate("the loop's thread does a %s of %s, which may wait for the disk", op, name)
	}
}

// ErrKilled is what Wait returns after [Kernel.Kill].
var ErrKilled = errors.New("sim: the program was killed")

// Kill ends the program: its next Wait fails, and nothing that it does afterwards has an effect on the disk. Connections are reset.
func (k *Kernel) Kill() {
	mark.Hit("the machine killed the server")
	k.killed = true
	k.machine.disk.FailAt(0, ErrKilled)
	for fd := range k.nextFD {
		switch o := k.objects[fd].(type) {
		case *Socket:
			o.close()
		case *listener:
			o.close()
		}
	}
}

// Killed reports whether the program was killed.
func (k *Kernel) Killed() bool { return k.killed }

// Queue implements [ring.Kernel].
func (k *Kernel) Queue(op ring.Op) {
	op.Assert()
	k.assertOpen()
	k.stats.ByOpcode[op.Code]++
	o := &operation{Op: op}
	k.checkOpen(o)
	k.checkUse(o)
	k.checkSend(o)
	k.pending = append(k.pending, o)
}

// checkOpen reports an operation on a descriptor that is not open.
func (k *Kernel) checkOpen(o *operation) {
	_, open := k.objects[int(o.FD)]
	_, openIn := k.objects[int(o.FDIn)]
	if !open && o.Code != ring.OpCancelToken || !openIn && o.Code == ring.OpSplice {
		k.violate("%v is queued for descriptors %d and %d, not both open", o.Token, o.FD, o.FDIn)
	}
}

// checkUse reports two operations that must not be in flight together.
func (k *Kernel) checkUse(o *operation) {
	for _, other := range k.pending {
		switch p, s := k.pipeOf(o), k.writtenSocket(o); {
		case p != nil && p == k.pipeOf(other):
			k.violate("%v and %v use one pipe at once", other.Token, o.Token)
		case s != nil && s == k.writtenSocket(other):
			k.violate("%v and %v write to one socket at once", other.Token, o.Token)
		case o.Code == ring.OpRecv && other.Code == ring.OpRecv && o.FD == other.FD:
			k.violate("%v and %v receive from one socket at once", other.Token, o.Token)
		}
	}
}

// pipeOf is the pipe that a splice fills or empties.
func (k *Kernel) pipeOf(o *operation) *pipe {
	if o.Code != ring.OpSplice {
		return nil
	}
	if p, ok := k.objects[int(o.FD)].(*pipe); ok {
		return p
	}
	p, _ := k.objects[int(o.FDIn)].(*pipe)
	return p
}

// writtenSocket is the socket that an operation writes to.
func (k *Kernel) writtenSocket(o *operation) *Socket {
	switch o.Code {
	case ring.OpSend, ring.OpSendmsg, ring.OpSplice:
		s, _ := k.objects[int(o.FD)].(*Socket)
		return s
	}
	return nil
}

// tick is how far the clock goes on when nothing can complete and something may soon.
const tick = 100 * time.Microsecond

// Wait implements [ring.Kernel]. Peers read, threads run, and operations that can complete do so in any order, some of them later.
func (k *Kernel) Wait(timeout time.Duration) ([]ring.Completion, error) {
	k.assertOpen()
	k.serving = true
	k.stats.Enters++
	k.completed = k.completed[:0]
	m := k.machine
	deadline := m.now + timeout
	for {
		m.now += time.Microsecond
		m.runEvents()
		m.disk.wander()
		soon := m.peersRead()
		soon = k.runJobs() || soon
		soon = k.step() || soon
		if k.killed {
			return nil, ErrKilled
		}
		if len(k.completed) > 0 || k.woken || timeout == 0 || timeout > 0 && m.now >= deadline {
			break
		}
		k.sleep(soon, timeout, deadline)
	}
	k.woken = false
	k.stats.Completed += uint64(len(k.completed))
	return k.completed, nil
}

// sleep lets time pass: a tick if something may happen soon, or else until the next thing that is known to.
func (k *Kernel) sleep(soon bool, timeout, deadline time.Duration) {
	m := k.machine
	if soon {
		m.now += tick
		return
	}
	next, known := deadline, timeout > 0
	if len(m.events.heap) > 0 && (!known || m.events.heap[0].at < next) {
		next, known = m.events.heap[0].at, true
	}
	for _, s := range m.sockets {
		if at := s.peer.IdleUntil; at > m.now && len(s.queued) > 0 && (!known || at < next) {
			next, known = at, true
		}
	}
	if !known {
		panic(fmt.Sprintf("sim: the program waits for ever: %d operations are in flight", len(k.pending)))
	}
	m.now = max(m.now, next)
}

// runJobs runs some of what other threads have to do. It says whether there is more.
func (k *Kernel) runJobs() bool {
	for range len(k.jobs) {
		if i := k.machine.random.IntN(len(k.jobs)); k.machine.oneIn(2) {
			job := k.jobs[i]
			k.jobs = append(k.jobs[:i], k.jobs[i+1:]...)
			k.inJob = true
			job()
			k.inJob = false
		}
	}
	return len(k.jobs) > 0
}

// step tries every pending operation in a random order. Some are left for later although they could complete: it says whether
// there are such.
func (k *Kernel) step() (more bool) {
	order := k.machine.random.Perm(len(k.pending))
	completed := make(map[*operation]bool)
	for _, i := range order {
		o := k.pending[i]
		if k.machine.oneIn(3) {
			more = true
			continue
		}
		if o.Code == ring.OpRecv && !o.cancelled {
			completed[o] = k.recv(o)
		} else if result, ok := k.attempt(o); ok {
			completed[o] = true
			k.checkUnchanged(o)
			k.complete(o, result, false, -1)
		}
	}
	keep := k.pending[:0]
	for _, o := range k.pending {
		if !completed[o] {
			keep = append(keep, o)
		}
	}
	clear(k.pending[len(keep):])
	k.pending = keep
	return more
}

func (k *Kernel) complete(o *operation, result int32, more bool, buffer int) {
	k.completed = append(k.completed, ring.NewCompletion(o.Token, result, more, buffer))
}

// retryErrors are what an operation that was interrupted may end with.
var retryErrors = []syscall.Errno{syscall.EINTR, syscall.ECANCELED, syscall.Errno(512)}

// attempt runs an operation as far as it can. ok is false while it has to wait.
func (k *Kernel) attempt(o *operation) (result int32, ok bool) {
	switch o.Code {
	case ring.OpCancel, ring.OpCancelToken:
		k.cancel(o)
		return 0, true
	}
	if o.cancelled {
		if o.done > 0 {
			return int32(o.done), true
		}
		return -int32(syscall.ECANCELED), true
	}
	first := !o.tried
	o.tried = true
	if first && o.Code != ring.OpPoll && k.machine.oneIn(k.machine.options.RetryOneIn) {
		mark.Hit("the machine interrupted an operation")
		return -int32(retryErrors[k.machine.random.IntN(len(retryErrors))]), true
	}
	switch o.Code {
	case ring.OpSend, ring.OpSendmsg:
		return k.send(o)
	case ring.OpRead:
		return k.read(o), true
	case ring.OpSplice:
		if p, ok := k.objects[int(o.FD)].(*pipe); ok {
			return k.spliceIn(o, p), true
		}
		return k.spliceOut(o), true
	case ring.OpPoll:
		return k.poll(o)
	case ring.OpFsync:
		return k.fsync(o), true
	case ring.OpFadvise:
		return k.advise(o), true
	}
	panic("sim: " + o.Code.String() + " is not simulated")
}

// cancel marks what is to be cancelled; it completes when its turn comes.
func (k *Kernel) cancel(c *operation) {
	for _, o := range k.pending {
		if c.Code == ring.OpCancel && o != c && o.FD == c.FD || c.Code == ring.OpCancelToken && o.Token == ring.Token(c.Addr) {
			o.cancelled = true
		}
	}
}

// InFlight implements [ring.Kernel].
func (k *Kernel) InFlight() int { return len(k.pending) }

// Now implements [ring.Kernel].
func (k *Kernel) Now() time.Duration { return k.machine.now }

// Wake implements [ring.Kernel].
func (k *Kernel) Wake() { k.woken = true }

// Stats implements [ring.Kernel].
func (k *Kernel) Stats() ring.Stats { return k.stats }

func (k *Kernel) assertOpen() {
	if k.closed {
		panic("sim: the kernel is used after it was closed")
	}
}

// Close implements [ring.Kernel].
func (k *Kernel) Close() error {
	k.closed, k.serving = true, false
	for k.killed && len(k.jobs) > 0 { // whoever waits for a thread need not wait for one that is dead
		job := k.jobs[0]
		k.jobs = k.jobs[1:]
		job()
	}
	k.receive.close()
	if len(k.pending) > 0 && !k.killed {
		return fmt.Errorf("sim: %d operations are in flight", len(k.pending))
	}
	return nil
}

// Leaked lists what the program should have given back before it ended: descriptors, and threads that had something left to do.
func (k *Kernel) Leaked() (left []string) {
	before := k.machine.disk.ops
	for _, job := range k.jobs {
		job()
	}
	if did := k.machine.disk.ops - before; did > 0 {
		left = append(left, fmt.Sprintf("%d threads, which did %d operations", len(k.jobs), did))
	}
	k.jobs = nil
	for fd := range k.nextFD {
		if o, ok := k.objects[fd]; ok {
			name := ""
			if f, ok := o.(*File); ok {
				name = " of " + f.name
			}
			left = append(left, fmt.Sprintf("descriptor %d, a %T%s", fd, o, name))
		}
	}
	return left
}
