package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"oneplusn/segment/mark"
)

// Options say how unkind the machine is. Each chance is one in so many; 0 is never.
type Options struct {
	// SendBufferBytes is the send buffer of every socket, and ReceiveBufferBytes its receive buffer.
	SendBufferBytes, ReceiveBufferBytes int
	// PipesMax is how many pipes may be open, as by RLIMIT_NOFILE; 0 is no limit.
	PipesMax int
	// ShortOneIn lets an operation move less than it could.
	ShortOneIn int
	// RetryOneIn lets an operation be interrupted: it ends with an error that means "try again".
	RetryOneIn int
	// EndOneIn lets a multishot recv end although there is more to come.
	EndOneIn int
	// AcceptOneIn lets an accept fail: the client has gone, or descriptors are short for a moment.
	AcceptOneIn int
	Disk        DiskOptions
}

// Machine is a computer: its disk, its network and its clock. It outlives the programs that run on it: see [Machine.Start].
//
// All randomness comes from its one generator. Everything runs on one goroutine.
type Machine struct {
	options    Options
	random     *rand.Rand
	now        time.Duration
	events     events
	disk       *Disk
	listeners  map[string]*listener
	sockets    []*Socket // whose server's end was accepted, in that order, until nothing more can happen to them
	nextPort   int
	violations []string
}

// NewMachine makes a machine whose life is decided by the seed.
func NewMachine(seed uint64, o Options) *Machine {
	m := &Machine{options: o, random: rand.New(rand.NewPCG(seed, 0)), listeners: make(map[string]*listener), nextPort: 40_000}
	m.disk = newDisk(m, o.Disk)
	return m
}

// Random is the generator that decides everything. A test draws from it too, so that one seed is enough.
func (m *Machine) Random() *rand.Rand { return m.random }

// RandomBytes fills b from the generator.
func (m *Machine) RandomBytes(b []byte) {
	for i := range b {
		b[i] = byte(m.random.Uint32())
	}
}

// Now is the time since the machine was made.
func (m *Machine) Now() time.Duration { return m.now }

// epoch is the time of day when a machine is made.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// WallClock is the time of day at a time since the machine was made.
func (m *Machine) WallClock(at time.Duration) time.Time { return epoch.Add(at) }

// Disk is the machine's disk.
func (m *Machine) Disk() *Disk { return m.disk }

// Violations are the rules that were broken, in the order in which they were.
func (m *Machine) Violations() []string { return m.violations }

func (m *Machine) violate(format string, args ...any) {
	m.violations = append(m.violations, fmt.Sprintf("at %v: ", m.now)+fmt.Sprintf(format, args...))
}

func (m *Machine) oneIn(n int) bool { return n > 0 && m.random.IntN(n) == 0 }

// some is a count from 1 to n: often n.
func (m *Machine) some(n int) int {
	if n > 1 && m.oneIn(m.options.ShortOneIn) {
		mark.Hit("the machine let an operation move less than it could")
		return 1 + m.random.IntN(n)
	}
	return n
}

// After calls f when so much time has passed, while a program waits for its kernel. Of two at the same time the one that was asked
// for first is the first.
func (m *Machine) After(d time.Duration, f func()) {
	heap.Push(&m.events, event{m.now + max(d, 0), m.events.next, f})
	m.events.next++
}

// runEvents calls what is due.
func (m *Machine) runEvents() {
	for len(m.events.heap) > 0 && m.events.heap[0].at <= m.now {
		heap.Pop(&m.events).(event).f()
	}
}

type event struct {
	at  time.Duration
	seq uint64
	f   func()
}

// events is a heap of what is to come.
type events struct {
	heap []event
	next uint64
}

func (e *events) Len() int { return len(e.heap) }
func (e *events) Less(i, j int) bool {
	a, b := &e.heap[i], &e.heap[j]
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}
func (e *events) Swap(i, j int) { e.heap[i], e.heap[j] = e.heap[j], e.heap[i] }
func (e *events) Push(x any)    { e.heap = append(e.heap, x.(event)) }
func (e *events) Pop() any {
	last := e.heap[len(e.heap)-1]
	e.heap[len(e.heap)-1] = event{}
	e.heap = e.heap[:len(e.heap)-1]
	return last
}
