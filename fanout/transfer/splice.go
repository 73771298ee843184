package transfer

import "oneplusn/ring"

// splice: file --ring splice--> pipe --ring splice--> socket. Pages move by reference, on the kernel's workers.

func fillPipe(f *Flow, file int, pos int64, n int) ring.Op {
	return ring.SpliceFromFile(f.Token.As(KindFill), file, pos, f.stage.pipe.W, uint32(n))
}

// drainPipe never waits in the kernel: a full socket is polled, so that the pipe can be reclaimed.
func (e *Engine) drainPipe(f *Flow) {
	e.write(f, ring.SpliceToSocket(f.Token.As(KindWrite), f.stage.pipe.R, f.Socket, uint32(f.staged), 0), f.staged, fromPipe)
}

// pipeMaker makes the stages of splice.
type pipeMaker struct {
	kernel ring.Kernel
	bytes  int
}

func (m pipeMaker) open() (*stage, error) {
	p, err := m.kernel.OpenPipe(m.bytes)
	if err != nil {
		return nil, err
	}
	return &stage{pipe: p}, nil
}

// discard closes the pipe and opens another in its place: reading the bytes out would copy them.
func (m pipeMaker) discard(s *stage) error {
	m.kernel.ClosePipe(s.pipe)
	p, err := m.kernel.OpenPipe(m.bytes)
	s.pipe = p
	return err
}

func (m pipeMaker) close(s *stage) { m.kernel.ClosePipe(s.pipe) }
