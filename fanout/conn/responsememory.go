package conn

import (
	"errors"
	"math/bits"

	"oneplusn/fanout/budget"
	"oneplusn/ring"
	"oneplusn/segment/list"
	"oneplusn/segment/mark"
)

// errNoResponseMemory makes a response wait until others have been sent.
var errNoResponseMemory = errors.New("the response memory is used up")

// minBlockClass makes the smallest block 8 KiB.
const minBlockClass = 13

// ResponseMemory lends blocks outside the Go heap for responses that do not fit a connection's slab, in powers of two.
// Responses without memory wait in the order of their arrival.
type ResponseMemory struct {
	budget  *budget.Budget
	waiters list.List[*Conn]
	free    [40][]*Block
	// freeBytes are the uncharged bytes in free. Together with the charged bytes they stay within the budget's limit.
	freeBytes int64
	// turn is the connection whose answer is being repeated: it does not queue behind later ones.
	turn *Conn
	// resume: there is memory for the first in the queue, but this turn was long enough. The next one goes on.
	resume bool
}

// Block is a response's memory. Several connections may be sending it.
type Block struct {
	arena *ring.Arena
	bytes []byte
	class int
	holds int
}

func newResponseMemory(limit int64) ResponseMemory {
	return ResponseMemory{budget: budget.New("response", "raise --response-memory", limit)}
}

func blockClass(n int) int { return max(bits.Len(uint(n-1)), minBlockClass) }

// Bytes is the block's memory, of at least as many bytes as were asked for.
func (b *Block) Bytes() []byte { return b.bytes }

// Hold adds a reference, which [ResponseMemory.Release] takes back.
func (b *Block) Hold() { b.holds++ }

// Holds is the reference count.
func (b *Block) Holds() int { return b.holds }

// fits says whether a block of n bytes could be lent.
func (m *ResponseMemory) fits(n int) bool { return m.budget.Left() >= 1<<blockClass(n) }

// Take lends a block with one reference. Its error is for [Conn.AwaitBlock]: c has to wait, or there will never be enough.
func (m *ResponseMemory) Take(c *Conn, n int) (*Block, error) {
	class := blockClass(n)
	size := int64(1) << class
	switch {
	case size > m.budget.Limit():
		mark.Hit("a response was larger than the memory for all responses")
		return nil, m.budget.Refusal("a response", size)
	case m.waiters.Len() > 0 && m.turn != c, !m.budget.Take(size):
		return nil, errNoResponseMemory
	}
	if list := m.free[class]; len(list) > 0 {
		m.free[class] = list[:len(list)-1]
		m.freeBytes -= size
		list[len(list)-1].holds = 1
		return list[len(list)-1], nil
	}
	if m.budget.Used()+m.freeBytes > m.budget.Limit() {
		m.dropFree()
	}
	a, err := ring.NewArena(int(size))
	if err != nil {
		m.budget.Give(size)
		return nil, err
	}
	return &Block{a, a.Take(int(size)), class, 1}, nil
}

// Release takes a reference back, and the block with the last.
func (m *ResponseMemory) Release(b *Block) {
	if b.holds--; b.holds > 0 {
		return
	}
	if b.holds < 0 {
		panic("conn: a response's block was released more often than held")
	}
	size := int64(1) << b.class
	m.budget.Give(size)
	m.free[b.class] = append(m.free[b.class], b)
	m.freeBytes += size
}

func (m *ResponseMemory) dropFree() {
	for class, list := range m.free {
		for _, b := range list {
			_ = b.arena.Close()
		}
		m.free[class] = nil
	}
	m.freeBytes = 0
}
