package sim

import (
	"cmp"
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
	// StallOneIn lets a thread not run for a while: the program's between two calls of Wait, up to a thousand times TurnTime, or the one
	// that does an operation, up to DiskTime.
	StallOneIn int
	// NetworkTime is the most that bytes are under way before the other end sees them, DiskTime the most that an operation takes that
	// waits for the disk, and another thread to run, and TurnTime the most that the program is busy between two calls of Wait. The times
	// that are drawn are mostly far shorter. 0 is 5 ms, 20 ms and 200 us.
	NetworkTime, DiskTime, TurnTime time.Duration
	// Epoch is the time of day when the machine is made; the zero time is the beginning of 2026.
	Epoch time.Time
	Disk  DiskOptions
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
	o.NetworkTime = cmp.Or(o.NetworkTime, 5*time.Millisecond)
	o.DiskTime = cmp.Or(o.DiskTime, 20*time.Millisecond)
	o.TurnTime = cmp.Or(o.TurnTime, 200*time.Microsecond)
	if o.Epoch.IsZero() {
		o.Epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
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

// WallClock is the time of day at a time since the machine was made.
func (m *Machine) WallClock(at time.Duration) time.Time { return m.options.Epoch.Add(at) }

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

// upTo draws a time from a nanosecond to most: a short one as often as a long one.
func (m *Machine) upTo(most time.Duration) time.Duration {
	return 1 + time.Duration(m.random.Int64N(max(int64(most)>>m.random.IntN(10), 1)))
}

// turnTime is how long the program was busy since the last Wait.
func (m *Machine) turnTime() time.Duration {
	if m.oneIn(m.options.StallOneIn) {
		mark.Hit("the machine did not run the loop for a while")
		return m.upTo(1000 * m.options.TurnTime)
	}
	return m.upTo(m.options.TurnTime)
}

// After calls f when so much time has passed, while a program waits for its kernel. Of two at the same time the one that was asked
// for first is the first.
func (m *Machine) After(d time.Duration, f func()) { m.events.add(m.now+max(d, 0), call(f)) }

// advance lets time pass, and lets happen what is due.
func (m *Machine) advance(until time.Duration) {
	for {
		at, known := m.events.first()
		if !known || at > until {
			m.now = max(m.now, until)
			return
		}
		m.now = max(m.now, at)
		m.events.take().happen()
	}
}
