package transfer

import (
	"golang.org/x/sys/unix"

	"oneplusn/ring"
)

// copy: file --ring read--> buffer --ring send--> socket. The traditional way, two copies.

func fillBuffer(f *Flow, file int, pos int64, n int) ring.Op {
	return ring.Read(f.Token.As(KindFill), file, f.stage.buf[:n], pos)
}

func (e *Engine) copied(f *Flow, n int) {
	e.Ledger.countOp(ring.OpRead, fromMemory, n, 0)
	e.staged(f, n)
}

// drainBuffer never waits in the kernel: a full socket is polled, so that the buffer can be reclaimed.
func (e *Engine) drainBuffer(f *Flow) {
	bytes := f.stage.buf[f.drained : f.drained+f.staged]
	e.write(f, ring.Send(f.Token.As(KindWrite), f.Socket, bytes, unix.MSG_DONTWAIT), len(bytes), fromBuffer)
}

// makeBuffers makes the pool of buffers.
func (e *Engine) makeBuffers() (err error) {
	n := max(e.config.CopyBytes/e.config.ChunkBytes, 1)
	// Take aligns each buffer to 64 bytes.
	if e.arena, err = ring.NewArena(n * (e.config.ChunkBytes + 64)); err != nil {
		return err
	}
	e.buffers = pool{make: bufferMaker{e.arena, e.config.ChunkBytes}, max: n}
	return nil
}

// bufferMaker makes the stages of copy. Their memory is one arena, carved as it is first needed.
type bufferMaker struct {
	arena *ring.Arena
	bytes int
}

func (m bufferMaker) open() (*stage, error) { return &stage{buf: m.arena.Take(m.bytes)}, nil }
func (bufferMaker) discard(*stage) error    { return nil }
func (bufferMaker) close(*stage)            {}
