package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
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
	unused    []*operation
	jobs      []func()
	inJob     bool
	woken     bool
	stats     ring.Stats
	serving   bool // Wait was called
	killed    bool
	closed    bool
}

var _ ring.Kernel = (*Kernel)(nil)

// New makes a machine with one program, whose run is decided by the seed.
func New(seed uint64, o Options) *Kernel { return NewMachine(seed, o).Start() }

// Start starts a program.
func (m *Machine) Start() *Kernel {
	mark.Pause(false)
	return &Kernel{machine: m, objects: make(map[int]any), nextFD: 3}
}

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
func (k *Kernel) Go(f func()) {
	k.jobs = append(k.jobs, f)
	k.machine.After(k.machine.upTo(k.machine.options.DiskTime), k.runJob)
}

// runJob runs something that other threads have to do.
func (k *Kernel) runJob() {
	if k.killed || k.closed {
		return
	}
	i, last := k.machine.random.IntN(len(k.jobs)), len(k.jobs)-1
	job := k.jobs[i]
	k.jobs[i] = k.jobs[last]
	k.jobs = k.jobs[:last]
	k.inJob = true
	job()
	k.inJob = false
}

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
	mark.Pause(true) // until the next start, or the loss of power
}

// Killed reports whether the program was killed.
func (k *Kernel) Killed() bool { return k.killed }

// Wait implements [ring.Kernel]. What happened while the program did its last turn completes, or else the next thing that does.
func (k *Kernel) Wait(timeout time.Duration) ([]ring.Completion, error) {
	k.assertOpen()
	k.serving = true
	k.stats.Enters++
	k.completed = k.completed[:0]
	m := k.machine
	m.disk.wander()
	m.advance(m.now + m.turnTime())
	deadline := m.now + timeout
	for !k.killed && len(k.completed) == 0 && !k.woken && timeout != 0 && (timeout < 0 || m.now < deadline) {
		m.advance(k.next(timeout, deadline))
	}
	if k.killed {
		return nil, ErrKilled
	}
	k.woken = false
	k.stats.Completed += uint64(len(k.completed))
	return k.completed, nil
}

// next is when something happens.
func (k *Kernel) next(timeout, deadline time.Duration) time.Duration {
	at, known := k.machine.events.first()
	switch {
	case timeout > 0 && (!known || deadline < at):
		return deadline
	case !known:
		panic(fmt.Sprintf("sim: the program waits for ever: %d operations are in flight", len(k.pending)))
	}
	return at
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
