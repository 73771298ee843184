package fanout

import (
	"errors"
	"fmt"
	"math/bits"

	"oneplusn/fanout/budget"
	"oneplusn/ring"
)

// errNoResponseMemory says that a response has to wait until others have been sent.
var errNoResponseMemory = errors.New("fanout: the response memory is used up")

// minBlockClass makes the smallest block 8 KiB.
const minBlockClass = 13

// responseMemory lends blocks outside the Go heap for responses that do not fit a connection's slab, in powers of two.
// Responses for which there is no room wait in the order in which they came.
type responseMemory struct {
	budget *budget.Budget
	queue  queue
	free   [40][]*block
	// freeBytes lie in free, uncharged. Together with what is charged they are at most the budget's limit.
	freeBytes int64
	// turn is the connection whose turn it is: it does not wait behind those that came after it.
	turn *conn
	// resume says that the next turn goes on with the queue: there is memory for the first, and this turn was long enough.
	resume bool
}

// block is a response's memory. Several connections may be sending it.
type block struct {
	arena *ring.Arena
	bytes []byte
	class int
	holds int
}

func newResponseMemory(limit int64) responseMemory {
	return responseMemory{budget: budget.New("response", "raise --response-memory", limit)}
}

func blockClass(n int) int { return max(bits.Len(uint(n-1)), minBlockClass) }

// fits says whether a block of n bytes could be lent.
func (m *responseMemory) fits(n int) bool { return m.budget.Left() >= 1<<blockClass(n) }

// take lends a block, held once. The error is errNoResponseMemory if c is to wait for it, and another if there will never
// be room.
func (m *responseMemory) take(c *conn, n int) (*block, error) {
	class := blockClass(n)
	size := int64(1) << class
	switch {
	case size > m.budget.Limit():
		return nil, fmt.Errorf("fanout: %w", m.budget.Refusal("a response", size))
	case m.queue.n > 0 && m.turn != c, !m.budget.Take(size):
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
	return &block{a, a.Take(int(size)), class, 1}, nil
}

// release gives one hold back, and the block with the last.
func (m *responseMemory) release(b *block) {
	if b.holds--; b.holds > 0 {
		return
	}
	if b.holds < 0 {
		panic("fanout: a response's block was released more often than held")
	}
	size := int64(1) << b.class
	m.budget.Give(size)
	m.free[b.class] = append(m.free[b.class], b)
	m.freeBytes += size
}

func (m *responseMemory) dropFree() {
	for class, list := range m.free {
		for _, b := range list {
			_ = b.arena.Close()
		}
		m.free[class] = nil
	}
	m.freeBytes = 0
}
