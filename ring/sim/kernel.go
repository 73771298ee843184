package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"oneplusn/ring"
)

// Options say how unkind the kernel is. Each chance is one in so many; 0 is never.
type Options struct {
	// SendBufferBytes is the send buffer of every socket.
	SendBufferBytes int
	// PipesMax bounds the open pipes, like RLIMIT_NOFILE; 0 is no limit.
	PipesMax int
	// ShortOneIn lets an operation move less than it could.
	ShortOneIn int
	// RetryOneIn lets an operation be interrupted: it ends with an error that means "try again".
	RetryOneIn int
}

// Kernel is a simulated [ring.Kernel].
type Kernel struct {
	options    Options
	random     *rand.Rand
	now        time.Duration
	objects    map[int]any // *File, *pipe (under both of its ends) or *Socket, by descriptor
	files      []*File     // in the order of their making, which a map does not have
	sockets    []*Socket   // too
	nextFD     int
	pipes      int
	pending    []*operation
	completed  []ring.Completion
	violations []string
	stats      ring.Stats
	closed     bool
}

// operation is one that was queued and has not completed.
type operation struct {
	ring.Op
	done      int // bytes moved by a send that has to move all
	tried     bool
	cancelled bool
}

var _ ring.Kernel = (*Kernel)(nil)

// New makes a kernel whose run is decided by the seed.
func New(seed uint64, o Options) *Kernel {
	return &Kernel{options: o, random: rand.New(rand.NewPCG(seed, 0)), objects: make(map[int]any), nextFD: 3}
}

// Random is the generator that decides everything. A test draws from it too, so that one seed is enough.
func (k *Kernel) Random() *rand.Rand { return k.random }

// Violations are the rules that were broken, in the order in which they were.
func (k *Kernel) Violations() []string { return k.violations }

func (k *Kernel) violate(format string, args ...any) {
	k.violations = append(k.violations, fmt.Sprintf("at %v: ", k.now)+fmt.Sprintf(format, args...))
}

func (k *Kernel) oneIn(n int) bool { return n > 0 && k.random.IntN(n) == 0 }

// some is a count from 1 to n: often n.
func (k *Kernel) some(n int) int {
	if n > 1 && k.oneIn(k.options.ShortOneIn) {
		return 1 + k.random.IntN(n)
	}
	return n
}

// Queue implements [ring.Kernel].
func (k *Kernel) Queue(op ring.Op) {
	op.Assert()
	k.assertOpen()
	k.stats.ByOpcode[op.Code]++
	o := &operation{Op: op}
	k.checkOpen(o)
	k.checkUse(o)
	k.checkWarm(o)
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

// tick is the step of the clock when nothing can complete.
const tick = 100 * time.Microsecond

// Wait implements [ring.Kernel]. Peers read, operations that can complete do so in any order, some of them later.
func (k *Kernel) Wait(timeout time.Duration) ([]ring.Completion, error) {
	k.assertOpen()
	k.stats.Enters++
	k.completed = k.completed[:0]
	deadline := k.now + timeout
	for {
		k.now += time.Microsecond
		k.peersRead()
		k.step()
		if len(k.completed) > 0 || timeout == 0 || timeout > 0 && k.now >= deadline {
			break
		}
		k.now += tick
	}
	k.stats.Completed += uint64(len(k.completed))
	return k.completed, nil
}

// step tries every pending operation in a random order. Some are left for later although they could complete.
func (k *Kernel) step() {
	order := k.random.Perm(len(k.pending))
	completed := make(map[*operation]bool)
	for _, i := range order {
		o := k.pending[i]
		if k.oneIn(3) {
			continue
		}
		if result, ok := k.attempt(o); ok {
			completed[o] = true
			k.completed = append(k.completed, ring.NewCompletion(o.Token, result, false, -1))
		}
	}
	k.pending = slices.DeleteFunc(k.pending, func(o *operation) bool { return completed[o] })
}

// retryErrors are the results of an interrupted operation.
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
	if first && o.Code != ring.OpPoll && k.oneIn(k.options.RetryOneIn) {
		return -int32(retryErrors[k.random.IntN(len(retryErrors))]), true
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
func (k *Kernel) Now() time.Duration { return k.now }

// Buffer implements [ring.Kernel]. No completion here has a buffer.
func (k *Kernel) Buffer(ring.Completion) []byte { return nil }

// ReleaseBuffer implements [ring.Kernel].
func (k *Kernel) ReleaseBuffer(ring.Completion) {}

// Wake implements [ring.Kernel]. Nothing runs beside the loop, so nothing wakes it.
func (k *Kernel) Wake() {}

// Stats implements [ring.Kernel].
func (k *Kernel) Stats() ring.Stats { return k.stats }

func (k *Kernel) assertOpen() {
	if k.closed {
		panic("sim: the kernel is used after it was closed")
	}
}

// Close implements [ring.Kernel].
func (k *Kernel) Close() error {
	k.closed = true
	if len(k.pending) > 0 {
		return fmt.Errorf("sim: %d operations are in flight", len(k.pending))
	}
	return nil
}
