package transfer

import (
	"fmt"

	"oneplusn/ring"
)

// stage is what lies between a file and a socket: a pipe, or a buffer outside the Go heap.
type stage struct {
	pipe ring.Pipe
	buf  []byte
}

// stageMaker opens and closes the stages of one kind.
type stageMaker interface {
	open() (*stage, error)
	// discard makes a stage with bytes in it empty again, or reports that it is gone.
	discard(*stage) error
	close(*stage)
}

// pool lends stages. It never has more than max open, whatever the number of flows.
type pool struct {
	make stageMaker
	max  int
	free []*stage
	open int

	// waiters are flows that need a stage; stalled are flows that hold one with bytes in it and wait for their socket.
	waiters flowList
	stalled flowList

	reclaimed   uint64
	borrowedMax int
}

// borrowed is the number of stages that flows hold.
func (p *pool) borrowed() int { return p.open - len(p.free) }

// take lends a stage, or nil when all are borrowed to flows that are moving.
func (p *pool) take() *stage {
	s := p.find()
	p.borrowedMax = max(p.borrowedMax, p.borrowed())
	return s
}

func (p *pool) find() *stage {
	if n := len(p.free); n > 0 {
		s := p.free[n-1]
		p.free = p.free[:n-1]
		return s
	}
	if p.open < p.max {
		if s, err := p.make.open(); err == nil {
			p.open++
			return s
		}
		// No descriptor or memory for another stage: those that exist serve on.
	}
	return p.reclaim()
}

// reclaim takes the stage of the flow that has been stalled longest. What it held is still in the page cache.
func (p *pool) reclaim() *stage {
	victim := p.stalled.pop()
	if victim == nil {
		return nil
	}
	s := victim.stage
	victim.stage, victim.staged = nil, 0
	p.reclaimed++
	return p.emptied(s)
}

// emptied makes a stage with bytes in it usable again. It returns nil if that failed and the stage is gone.
func (p *pool) emptied(s *stage) *stage {
	if err := p.make.discard(s); err != nil {
		p.open--
		return nil
	}
	return s
}

// give takes a stage back. dirty says that it may hold bytes.
func (p *pool) give(s *stage, dirty bool) {
	if dirty {
		if s = p.emptied(s); s == nil {
			return
		}
	}
	p.free = append(p.free, s)
}

func (p *pool) closeAll() error {
	borrowed := p.borrowed()
	for _, s := range p.free {
		p.make.close(s)
	}
	p.open, p.free = borrowed, nil
	if borrowed > 0 {
		return fmt.Errorf("transfer: %d stages are still borrowed", borrowed)
	}
	return nil
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

// bufferMaker makes the stages of copy. Their memory is one arena, carved as it is first needed.
type bufferMaker struct {
	arena *ring.Arena
	bytes int
}

func (m bufferMaker) open() (*stage, error)  { return &stage{buf: m.arena.Take(m.bytes)}, nil }
func (m bufferMaker) discard(s *stage) error { return nil }
func (m bufferMaker) close(*stage)           {}
