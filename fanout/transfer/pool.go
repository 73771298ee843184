package transfer

import (
	"fmt"

	"oneplusn/segment/list"
	"oneplusn/segment/mark"
)

// stageMaker opens and closes the stages of one kind.
type stageMaker interface {
	open() (*stage, error)
	// discard makes a stage with bytes in it empty again, or reports that it is gone.
	discard(*stage) error
	close(*stage)
}

// pool lends stages. It never has more than max open, for any number of flows.
type pool struct {
	make stageMaker
	max  int
	free []*stage
	open int

	// waiters are flows that need a stage; stalled are flows that hold one with bytes in it and wait for their socket.
	waiters list.List[*Flow]
	stalled list.List[*Flow]

	reclaimed   uint64
	borrowedMax int
	closed      bool
}

// borrowed is the number of stages that flows hold.
func (p *pool) borrowed() int { return p.open - len(p.free) }

// take lends a stage, or nil when all are borrowed by flows that are moving.
func (p *pool) take() *stage {
	if p.closed {
		panic("transfer: a stage is taken from a pool that is closed")
	}
	s := p.find()
	if s != nil {
		s.pool, s.idle = p, false
	}
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
		mark.Hit("no other pipe could be opened")
		// No descriptor or memory for another stage: those that exist serve on.
	}
	return p.reclaim()
}

// reclaim takes the stage of the flow that has been stalled longest. What it held is still in the page cache.
func (p *pool) reclaim() *stage {
	victim := pop(&p.stalled)
	if victim == nil {
		return nil
	}
	if victim.stage == nil || victim.writing || victim.filling {
		panic(fmt.Sprintf("transfer: a flow that is stalled has a stage that the kernel does not use; %v writes: %v, fills: %v",
			victim.Token, victim.writing, victim.filling))
	}
	mark.Hit("a pipe or buffer was taken from a subscriber that does not read")
	s := victim.stage
	victim.stage, victim.staged = nil, 0
	p.reclaimed++
	return p.emptied(s)
}

// emptied makes a stage with bytes in it usable again. It returns nil if that failed and the stage is gone.
func (p *pool) emptied(s *stage) *stage {
	if err := p.make.discard(s); err != nil {
		mark.Hit("no pipe could be opened in place of one with a rest in it")
		p.open--
		return nil
	}
	return s
}

// give takes a stage back. dirty: it may hold bytes.
func (p *pool) give(s *stage, dirty bool) {
	if s.pool != p || s.idle || p.closed {
		panic(fmt.Sprintf("transfer: a stage is given back that the pool has not lent: idle %v, closed %v, %d borrowed",
			s.idle, p.closed, p.borrowed()))
	}
	s.idle = true
	if dirty {
		mark.Hit("a pipe or buffer was given back with a rest in it")
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
	p.open, p.free, p.closed = borrowed, nil, true
	if borrowed > 0 {
		return fmt.Errorf("%d stages are still borrowed", borrowed)
	}
	return nil
}

// PoolStats describes the pipes.
type PoolStats struct {
	Open      int    `json:"open" metric:"pipes_open" help:"Pipes open."`
	Lent      int    `json:"lent" metric:"pipes_lent" help:"Pipes that hold or are about to hold bytes."`
	LentMax   int    `json:"lent_max" metric:"pipes_lent_max" help:"The most pipes lent at once since the start."`
	Max       int    `json:"max" metric:"pipes_max" help:"The limit on pipes."`
	Waiting   int    `json:"waiting" metric:"pipes_waiting" help:"Responses that wait for a pipe."`
	Reclaimed uint64 `json:"reclaimed" metric:"pipes_reclaimed_total" help:"Pipes taken from stalled subscribers."`
}

// Pipes says how many pipes there are, how many are lent, and how many flows wait for one.
func (e *Engine) Pipes() PoolStats {
	p := &e.pipes
	return PoolStats{p.open, p.borrowed(), p.borrowedMax, p.max, p.waiters.Len(), p.reclaimed}
}
