package transfer

import (
	"fmt"
	"syscall"
	"time"

	"oneplusn/ring"
)

// The token kinds of a flow's operations. Owners use kinds from [KindsEnd] on for their own.
const (
	KindWrite  uint8 = iota + 1 // an operation that writes to the flow's socket
	KindFill                    // an operation that fills the flow's stage
	KindPoll                    // a wait for the flow's socket to take more
	KindAdvice                  // an advice about a file, of no flow: see [Engine.Advised]
	KindsEnd
)

// Config sizes an [Engine].
type Config struct {
	Mode Mode
	// PipeBytes is the capacity asked for each pipe; MaxPipes bounds how many are open.
	PipeBytes, MaxPipes int
	// ChunkBytes is the most that one operation moves. It bounds how long one flow holds a worker or the loop.
	ChunkBytes int
	// CopyBytes is the memory for the buffers of copy; each is ChunkBytes long.
	CopyBytes int
	// SpliceFromBytes is where auto goes over from send to splice.
	SpliceFromBytes int64
	// ColdCacheBytes bounds what the ranges that were read from a disk hold of the page cache; 0 leaves that to the kernel,
	// and so does [Sendfile], which would wait on the loop's thread for a page that was dropped too early.
	ColdCacheBytes int64
	// ReadaheadBytes is how far ahead of ranges that are read from a disk one after the other more is asked for; 0 leaves
	// that to the kernel. It counts only with ColdCacheBytes.
	ReadaheadBytes int64
	// KernelReadaheadBytes is the kernel's own readahead, so that what it reads is taken into account.
	KernelReadaheadBytes int64
}

// Owner is told how responses end. Its methods are called from within the engine's, and may start the next response.
type Owner interface {
	// FlowDone says that the whole response was handed to the socket.
	FlowDone(f *Flow)
	// FlowFailed says that the response cannot go on: a frame was begun and can't be finished, so the connection must
	// be closed. The owner calls [Engine.Abort].
	FlowFailed(f *Flow, err error)
}

// Engine moves the responses of all flows. It belongs to the loop's thread.
type Engine struct {
	kernel  ring.Kernel
	config  Config
	owner   Owner
	Ledger  *Ledger
	pipes   pool
	buffers pool
	ready   flowList // sendfile flows whose turn it is
	arena   *ring.Arena
	now     time.Duration
	hot     hotRange
	cold    coldCache
}

// NewEngine makes an engine. It opens one pipe at once, so that a host that allows none is found out at start.
func NewEngine(kernel ring.Kernel, config Config, owner Owner) (*Engine, error) {
	if config.ChunkBytes < 1 || config.MaxPipes < 1 || config.PipeBytes < 1 {
		return nil, fmt.Errorf("transfer: chunk size %d, pipes %d and pipe size %d must all be at least 1",
			config.ChunkBytes, config.MaxPipes, config.PipeBytes)
	}
	e := &Engine{kernel: kernel, config: config, owner: owner, Ledger: new(Ledger), cold: newColdCache(kernel, config)}
	e.pipes = pool{make: pipeMaker{kernel, config.PipeBytes}, max: config.MaxPipes}
	first := e.pipes.take()
	if first == nil {
		return nil, fmt.Errorf("transfer: cannot open a pipe of %d bytes: is the limit on open files reached?", config.PipeBytes)
	}
	e.pipes.give(first, false)
	if config.Mode == Copy {
		buffers := max(config.CopyBytes/config.ChunkBytes, 1)
		// Take aligns each buffer to 64 bytes.
		arena, err := ring.NewArena(buffers * (config.ChunkBytes + 64))
		if err != nil {
			return nil, err
		}
		e.arena = arena
		e.buffers = pool{make: bufferMaker{arena, config.ChunkBytes}, max: buffers}
	}
	return e, nil
}

// PoolStats describes the pipes.
type PoolStats struct {
	Open, Borrowed, Max int
	// BorrowedMax is the most that were borrowed at once.
	BorrowedMax int
	// Waiting is the number of flows that need a pipe and have none.
	Waiting int
	// Reclaimed counts pipes taken from stalled flows.
	Reclaimed uint64
}

// Pipes is the state of the pipe pool.
func (e *Engine) Pipes() PoolStats {
	p := &e.pipes
	return PoolStats{Open: p.open, Borrowed: p.borrowed(), Max: p.max, BorrowedMax: p.borrowedMax,
		Waiting: p.waiters.n, Reclaimed: p.reclaimed}
}

// Start sends parts, which begin a response and end it. The flow must not be active; parts came from [Flow.Parts].
func (e *Engine) Start(f *Flow, parts []Part) {
	if f.active || f.aborted {
		panic("transfer: a flow moves one response at a time")
	}
	f.parts, f.cur, f.headerSent, f.moved = parts, 0, 0, 0
	f.active, f.retries = true, 0
	f.lastProgress = e.now
	if len(parts) == 0 {
		e.finish(f)
		return
	}
	e.begin(f)
	e.pump(f)
}

// BeginTurn is called once per turn of the loop, as the first thing after it waited: what is done in the turn is done then,
// and not when the last one ended.
func (e *Engine) BeginTurn(now time.Duration) { e.now = now }

// Turn is called once per turn of the loop, as the last thing before it waits: flows that waited for a stage get one, and sendfile
// flows move one chunk each.
func (e *Engine) Turn(now time.Duration) {
	e.now = now
	e.serveWaiters(&e.pipes)
	e.serveWaiters(&e.buffers)
	for n := e.ready.n; n > 0 && e.ready.first != nil; n-- {
		e.sendfile(e.ready.pop())
	}
	e.cold.trim(now)
	e.hot = hotRange{} // pages may be evicted during the wait that follows
}

// Pending says that Turn has work that no completion will announce.
func (e *Engine) Pending() bool { return e.ready.n > 0 }

func (e *Engine) serveWaiters(p *pool) {
	for p.waiters.n > 0 {
		s := p.take()
		if s == nil {
			return
		}
		f := p.waiters.pop()
		f.stage = s
		e.fill(f)
	}
}

// finish ends a response that was sent whole.
func (e *Engine) finish(f *Flow) {
	e.giveStage(f, false)
	f.releaseSources()
	f.active = false
	e.owner.FlowDone(f)
}

func (e *Engine) fail(f *Flow, err error) {
	e.owner.FlowFailed(f, err)
}

// Abort ends the flow: its connection is being closed. Operations in flight must be cancelled by the owner, and their
// completions still be passed to [Engine.Complete]; the flow is idle when [Flow.InFlight] is 0.
func (e *Engine) Abort(f *Flow) {
	f.aborted = true
	f.unlink()
	if f.InFlight() == 0 {
		e.cleanUp(f)
	}
}

func (e *Engine) cleanUp(f *Flow) {
	e.giveStage(f, true)
	f.releaseSources()
	f.active = false
}

// giveStage returns the flow's stage, if it has one, to its pool.
func (e *Engine) giveStage(f *Flow, dirty bool) {
	if f.stage == nil {
		return
	}
	e.poolOf(f).give(f.stage, dirty || f.staged > 0)
	f.stage, f.staged = nil, 0
}

func (e *Engine) poolOf(f *Flow) *pool {
	if f.mode == Copy {
		return &e.buffers
	}
	return &e.pipes
}

// Complete takes the completion of one of the flow's operations.
func (e *Engine) Complete(f *Flow, c ring.Completion) {
	switch c.Token.Kind() {
	case KindWrite:
		f.writing = false
	case KindFill:
		f.filling = false
		e.arrived(f, c)
	case KindPoll:
		f.polling = false
		if f.list == &e.poolOf(f).stalled {
			f.unlink()
		}
	}
	if f.aborted {
		if f.InFlight() == 0 {
			e.cleanUp(f)
		}
		return
	}
	switch c.Token.Kind() {
	case KindWrite:
		e.wrote(f, c)
	case KindFill:
		e.filled(f, c)
	case KindPoll:
		// Whatever the mask says, the next write tells what is the matter.
		e.pump(f)
	}
}

// maxRetries bounds how often an operation that was interrupted by nobody's fault is tried again in a row.
const maxRetries = 8

// errRestart is the kernel's internal "restart the system call", which io_uring passes through from a splice that was
// interrupted before it moved anything.
const errRestart = syscall.Errno(512)

// again says whether an operation that failed with errno is to be tried again.
func (f *Flow) again(errno syscall.Errno) bool {
	switch errno {
	case syscall.EINTR, errRestart, syscall.ECANCELED, syscall.EAGAIN:
		f.retries++
		return f.retries <= maxRetries
	}
	return false
}

// Close closes the pools. It reports stages that are still lent, which is a leak.
func (e *Engine) Close() error {
	err := e.pipes.closeAll()
	if e.arena == nil {
		return err
	}
	if berr := e.buffers.closeAll(); err == nil {
		err = berr
	}
	if aerr := e.arena.Close(); err == nil {
		err = aerr
	}
	return err
}
