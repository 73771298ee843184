package transfer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"oneplusn/segment/mark"
)

// sendfile: file --sendfile(2)--> socket. Kafka's own way, on the loop's thread, one chunk of each flow a turn.

func (e *Engine) stepSendfile(f *Flow) {
	switch {
	case len(f.headerLeft()) > 0:
		e.sendHeader(f)
	case !f.node.Linked():
		e.ready.PushBack(&f.node, f)
	}
}

// sendfile moves one chunk. Unlike in Kafka, a range that is not resident is first read by a worker of the kernel: into a
// pipe, and the pipe thrown away. So the disk never stops the loop.
func (e *Engine) sendfile(f *Flow) {
	p := &f.parts[f.cur]
	pos := p.Pos + f.moved
	n := min(f.rangeLeft(), int64(e.config.ChunkBytes))
	if f.warm > 0 {
		n = min(n, int64(f.warm))
	} else if !e.resident(p.Source, pos, n) {
		mark.Hit("sendfile met pages that are not in the page cache")
		e.fill(f)
		return
	}
	f.warm = 0 // by the next time the pages may be gone again
	sent := e.kernel.Sendfile(f.Socket, p.Source.Fd(), pos, int(n))
	switch {
	case int64(sent) > n:
		panic(fmt.Sprintf("transfer: sendfile of %d bytes moved %d", n, sent))
	case sent > 0:
		f.retries = 0
		f.lastProgress = e.now
		f.advance(sent)
		e.Ledger.ByReferenceBytes += uint64(sent)
		if int64(sent) < n {
			mark.Hit("sendfile moved less than it was asked to")
			e.poll(f)
			return
		}
		e.step(f)
	case sent == 0:
		e.fail(f, fmt.Errorf("%w: nothing at %d", ErrShortFile, pos))
	case unix.Errno(-sent) == unix.EAGAIN:
		mark.Hit("sendfile found the socket full")
		e.poll(f)
	case f.mayRetry(unix.Errno(-sent)):
		e.ready.PushBack(&f.node, f)
	default:
		e.failWrite(f, unix.Errno(-sent))
	}
}

// warmed goes on when n bytes that were not resident are in the pipe, and so in the page cache.
func (e *Engine) warmed(f *Flow, n int) {
	e.giveStage(f, true)
	f.warm = n
	e.step(f)
}
