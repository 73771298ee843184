// Package loop is the one thread that runs all parts of the server: its kernel and clock, the work that it hands to other
// goroutines, and the tasks that they hand to it.
//
//	any goroutine --Do--> tasks --RunTasks, once a turn--> the loop's thread
//	the loop's thread --Go--> work in a goroutine of its own --> done, as a task
//
// # Invariants
//
//   - Everything but [Loop.Do] and [Loop.Call] belongs to the loop's thread.
//   - Time stands still within a turn: see [Loop.Now].
//   - The loop does not end before the done functions of all work have run: see [Loop.Working].
package loop

import (
	"context"
	"io"
	"log/slog"
	"math"
	"os"
	"sync"
	"time"

	"oneplusn/ring"
)

// Never is later than any time.
const Never = time.Duration(math.MaxInt64)

// Loop is the thread of the server, as its parts see it. [New] makes it, [Loop.Use] gives it its kernel.
type Loop struct {
	Log    *slog.Logger
	Kernel ring.Kernel // nil before Use
	// CrashLog gets the last events when an assertion fails; [os.Stderr] unless a test changes it.
	CrashLog io.Writer
	Machine
	Scratch Scratch

	now      time.Duration
	turn     uint64
	recorder recorder
	tasks    taskQueue
	jobs     int
	working  sync.WaitGroup // the goroutines of jobs
	started  chan struct{}
	ended    chan struct{}
}

// New makes a loop that has not started.
func New(log *slog.Logger, m Machine) *Loop {
	l := &Loop{Log: log, CrashLog: os.Stderr, Machine: m, started: make(chan struct{}), ended: make(chan struct{})}
	l.KeepEvents(64) // until the owner says how many
	return l
}

// Use gives the loop its kernel, before anything is served.
func (l *Loop) Use(k ring.Kernel) {
	l.Kernel = k
	l.now = k.Now()
}

// Start lets other goroutines hand tasks to the loop: it runs from now on.
func (l *Loop) Start() { close(l.started) }

// Started is closed when the loop runs.
func (l *Loop) Started() <-chan struct{} { return l.started }

// End stops tasks, and waits for work that is still running, which only happens after a failure of the kernel.
func (l *Loop) End() {
	close(l.ended)
	l.working.Wait()
}

// BeginTurn takes the time of a turn, after the kernel was waited for.
func (l *Loop) BeginTurn() {
	l.now = l.Kernel.Now()
	l.turn++
}

// Now is when the turn under way began, on the kernel's clock.
func (l *Loop) Now() time.Duration { return l.now }

// Turn is the number of the turn under way, from 1 on.
func (l *Loop) Turn() uint64 { return l.turn }

// UnixMillis is the time of day, for records and retention. Any goroutine may call it.
func (l *Loop) UnixMillis() int64 { return l.Clock().UnixMilli() }

// Go runs work that may block in a goroutine of its own, and then done on the loop, which has not ended.
func (l *Loop) Go(work, done func()) {
	select {
	case <-l.ended:
		panic("loop: work begins after the loop has ended: nothing would wait for it")
	default:
	}
	l.jobs++
	l.Thread(func() {
		work()
		l.tasks.push(func() {
			if l.jobs--; l.jobs < 0 {
				panic("loop: more work ended than began")
			}
			done()
		})
		l.Kernel.Wake()
	})()
}

// Thread prepares work for another thread. Each call of start runs it there once, and allocates nothing.
func (l *Loop) Thread(work func()) (start func()) {
	run := func() {
		defer l.working.Done()
		ended := false
		defer l.Guard(&ended)
		work()
		ended = true
	}
	return func() {
		l.working.Add(1)
		l.Spawn(run)
	}
}

// Working reports whether work has not ended.
func (l *Loop) Working() bool { return l.jobs > 0 }

// RunTasks runs the tasks from other goroutines, oldest first.
func (l *Loop) RunTasks() { l.tasks.run() }

// Do runs f on the loop's thread, some time soon. It may be called from any goroutine, and waits for the loop to start. After
// the loop has ended it does nothing and reports false.
func (l *Loop) Do(f func()) bool {
	select {
	case <-l.ended:
	case <-l.started:
	}
	select {
	case <-l.ended: // asked again: of two that are ready, select takes any
		return false
	default:
	}
	l.tasks.push(f)
	l.Kernel.Wake()
	return true
}

// Call runs f on the loop's thread and waits for it. The error is [os.ErrClosed] after the loop has ended, or the context's.
func (l *Loop) Call(ctx context.Context, f func()) error {
	ran := make(chan struct{})
	if !l.Do(func() { f(); close(ran) }) {
		return os.ErrClosed
	}
	select {
	case <-ran:
		return nil
	case <-l.ended:
		return os.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
