package transfer

import (
	"errors"
	"fmt"
	"math"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"oneplusn/fanout/transfer/pagecache"
	"oneplusn/ring"
	"oneplusn/segment/list"
	"oneplusn/segment/mark"
)

// The token kinds of a flow's operations. Owners use kinds from [KindsEnd] on for their own.
const (
	KindWrite  uint8 = iota + 1 // an operation that writes to the flow's socket
	KindFill                    // an operation that fills the flow's stage
	KindPoll                    // a wait for the flow's socket to take more
	KindAdvice                  // an advice about a file, of no flow: its completion goes to [Engine.PageCache]
	KindsEnd
)

// Owner is told how responses end. Its methods are called from within the engine's, and may start the next response.
type Owner interface {
	// FlowDone: the whole response was handed to the socket.
	FlowDone(f *Flow)
	// FlowFailed: the response cannot go on. A frame was begun and can't be finished, so the connection must
	// be closed. The owner calls [Engine.Abort].
	FlowFailed(f *Flow, err error)
}

// ErrReadSegment: a range could not be read from its file. ErrShortFile: the file ended before a range that was committed in it.
var (
	ErrReadSegment = errors.New("reading a segment failed")
	ErrShortFile   = fmt.Errorf("%w: it is shorter than what was committed in it", ErrReadSegment)
)

// Engine moves the responses of all flows. It belongs to the loop's thread.
type Engine struct {
	kernel    ring.Kernel
	config    Config
	owner     Owner
	Ledger    *Ledger
	PageCache *pagecache.Cache
	methods   [modes]method
	pipes     pool
	buffers   pool
	ready     list.List[*Flow] // sendfile flows whose turn it is
	arena     *ring.Arena
	now       time.Duration
	hot       hotRange
}

// NewEngine makes an engine. It opens one pipe at once, so that a host that allows none is found out at start.
func NewEngine(kernel ring.Kernel, config Config, owner Owner) (*Engine, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	e := &Engine{kernel: kernel, config: config, owner: owner, Ledger: new(Ledger)}
	e.PageCache = pagecache.New(kernel, KindAdvice, config.pageCache())
	e.pipes = pool{make: pipeMaker{kernel, config.PipeBytes}, max: config.MaxPipes}
	e.methods = e.newMethods()
	first := e.pipes.take()
	if first == nil {
		return nil, fmt.Errorf("cannot open a pipe of %d bytes: is the limit on open files reached?", config.PipeBytes)
	}
	e.pipes.give(first, false)
	if config.Mode == Copy {
		return e, e.makeBuffers()
	}
	return e, nil
}

// BeginTurn is called once per turn of the loop, first thing after the wait: now is the time of what the turn does.
func (e *Engine) BeginTurn(now time.Duration) { e.now = now }

// Turn is called once per turn of the loop, last thing before the wait: flows that waited for a stage get one, and sendfile
// flows move one chunk each.
func (e *Engine) Turn(now time.Duration) {
	e.now = now
	e.serveWaiters(&e.pipes)
	e.serveWaiters(&e.buffers)
	for n := e.ready.Len(); n > 0 && e.ready.Len() > 0; n-- {
		e.sendfile(pop(&e.ready))
	}
	e.PageCache.Trim(now)
	e.hot = hotRange{} // pages may be evicted during the wait that follows
}

// Pending reports whether Turn has work that no completion will announce.
func (e *Engine) Pending() bool { return e.ready.Len() > 0 }

// Start sends parts, which begin a response and end it. The flow must not be active; parts came from [Flow.Parts].
func (e *Engine) Start(f *Flow, parts []Part) {
	if f.active || f.aborted || f.InFlight() > 0 || f.stage != nil || f.node.Linked() {
		panic(fmt.Sprintf("transfer: a flow that starts a response is idle; this one: active %v, aborted %v, %d in flight, staged %d",
			f.active, f.aborted, f.InFlight(), f.staged))
	}
	f.parts, f.cur, f.headerSent, f.moved = parts, 0, 0, 0
	f.active, f.retries = true, 0
	f.lastProgress = e.now
	if len(parts) == 0 {
		e.finish(f)
		return
	}
	e.begin(f)
	e.step(f)
}

// begin readies the current part: its method is chosen once for the whole range.
func (e *Engine) begin(f *Flow) {
	p := &f.parts[f.cur]
	if p.Pos < 0 || p.Len < 0 || p.Len > 0 && (p.Source == nil || !p.Source.Held() || p.Pos > p.Source.Size()-p.Len) {
		panic(fmt.Sprintf("transfer: a range of %d bytes at %d is not of the committed bytes of a held segment", p.Len, p.Pos))
	}
	f.mode = e.pick(p)
	f.warm = 0
}

// step queues what the flow can do next. It is called whenever something about the flow has changed, and does nothing
// while the socket is busy.
func (e *Engine) step(f *Flow) {
	for f.active && !f.aborted && !f.writing && !f.polling {
		if !f.partDone() {
			e.methods[f.mode].step(f)
			return
		}
		e.giveStage(f, false)
		f.nextPart()
		if f.cur == len(f.parts) {
			e.finish(f)
			return
		}
		e.begin(f)
	}
}

// Complete takes the completion of one of the flow's operations.
func (e *Engine) Complete(f *Flow, c ring.Completion) {
	kind := c.Token.Kind()
	pending := f.pending(kind)
	if c.Token != f.Token.As(kind) || pending == nil || !*pending {
		panic(fmt.Sprintf("transfer: a completion of %v came to the flow of %v, which has none such in flight", c.Token, f.Token))
	}
	*pending = false
	switch kind {
	case KindFill:
		e.arrived(f, c)
	case KindPoll:
		f.node.Remove() // from the stalled flows, unless its stage was reclaimed
	}
	switch {
	case f.aborted && f.InFlight() == 0:
		e.cleanUp(f)
	case f.aborted:
	case kind == KindWrite:
		e.wrote(f, c)
	case kind == KindFill:
		e.filled(f, c)
	default:
		e.step(f) // the mask does not matter: the next write finds what is wrong
	}
}

// write queues an operation of n bytes on the flow's socket and remembers what it is, for the ledger.
func (e *Engine) write(f *Flow, op ring.Op, n int, from origin) {
	if n < 1 || n > math.MaxInt32 || f.writing || f.polling || f.aborted {
		panic(fmt.Sprintf("transfer: an idle socket is written to, at least a byte at a time: %d bytes, writing %v, polling %v, aborted %v",
			n, f.writing, f.polling, f.aborted))
	}
	f.writing = true
	f.writeCode, f.writeOrigin, f.writeBytes = op.Code, from, n
	e.kernel.Queue(op)
}

// sendHeader sends header bytes. The ring itself waits while the socket is full. MSG_MORE joins them with the range that
// follows; a response's last bytes go without it.
func (e *Engine) sendHeader(f *Flow) {
	flags := uint32(unix.MSG_WAITALL)
	if f.rangeLeft() > 0 || f.cur+1 < len(f.parts) {
		flags |= unix.MSG_MORE
	}
	header := f.headerLeft()
	e.write(f, ring.Send(f.Token.As(KindWrite), f.Socket, header, flags), len(header), fromMemory)
}

// wrote takes the result of an operation on the socket.
func (e *Engine) wrote(f *Flow, c ring.Completion) {
	n := int(c.Result)
	switch {
	case n > f.writeBytes:
		panic(fmt.Sprintf("transfer: a write of %d bytes moved %d", f.writeBytes, n))
	case n < 0:
		e.writeFailed(f, c)
		return
	case n == 0: // no operation is of no bytes
		if f.retries++; f.retries > maxRetries {
			e.fail(f, errors.New("the socket takes nothing and does not say why"))
			return
		}
		e.step(f)
		return
	}
	f.retries = 0
	f.lastProgress = e.now
	mark.HitIf(n < f.writeBytes && f.writeOrigin == fromMap, "a send from the mapping was short")
	headers := f.advance(n)
	e.Ledger.countOp(f.writeCode, f.writeOrigin, n, headers)
	if f.writeOrigin.staged() && !e.drained(f, n) {
		return
	}
	e.step(f)
}

func (e *Engine) writeFailed(f *Flow, c ring.Completion) {
	switch errno := c.Err(); {
	case errno == unix.EAGAIN && f.writeOrigin.staged():
		mark.Hit("a pipe or buffer was to be emptied into a full socket")
		e.poll(f)
	case f.mayRetry(errno):
		mark.Hit("a write to a socket was interrupted")
		e.step(f)
	default:
		e.failWrite(f, errno)
	}
}

func (e *Engine) failWrite(f *Flow, errno syscall.Errno) {
	mark.Hit("a write to a subscriber failed")
	e.fail(f, fmt.Errorf("writing to the subscriber: %w", errno))
}

// poll waits until the socket takes more. From here on another flow may take this one's stage.
func (e *Engine) poll(f *Flow) {
	f.polling = true
	e.kernel.Queue(ring.Poll(f.Token.As(KindPoll), f.Socket, unix.POLLOUT))
	if f.stage != nil {
		f.stage.pool.stalled.PushBack(&f.node, f)
	}
}

// finish ends a response that was sent whole.
func (e *Engine) finish(f *Flow) {
	e.cleanUp(f)
	e.owner.FlowDone(f)
}

func (e *Engine) fail(f *Flow, err error) { e.owner.FlowFailed(f, err) }

// Abort ends the flow: its connection is being closed. Operations in flight must be cancelled by the owner, and their
// completions still be passed to [Engine.Complete]; the flow is idle when [Flow.InFlight] is 0.
func (e *Engine) Abort(f *Flow) {
	mark.HitIf(f.filling, "a response was aborted while its pipe or buffer was filled")
	f.aborted = true
	f.node.Remove()
	if f.InFlight() == 0 {
		e.cleanUp(f)
	}
}

// cleanUp gives back all that an idle flow holds. A stage may hold bytes.
func (e *Engine) cleanUp(f *Flow) {
	e.giveStage(f, f.aborted)
	f.releaseSources()
	f.active = false
}

// maxRetries bounds how often an operation that was interrupted is retried in a row.
const maxRetries = 8

// mayRetry reports whether an operation that failed with errno is to be retried.
func (f *Flow) mayRetry(errno syscall.Errno) bool {
	if !ring.Interrupted(errno) {
		return false
	}
	f.retries++
	return f.retries <= maxRetries
}

// Close closes the pools. It reports stages that are still borrowed and advice in flight, which are leaks.
func (e *Engine) Close() error {
	err := errors.Join(e.PageCache.Close(), e.pipes.closeAll())
	if e.arena != nil {
		err = errors.Join(err, e.buffers.closeAll(), e.arena.Close())
	}
	return err
}
