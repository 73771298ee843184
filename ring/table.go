package ring

import (
	"fmt"
	"iter"
)

// Table is a table of a fixed number of slots, whose items live in it: they never move, so pointers to them may be kept
// while the slot is taken, and what an item owns (memory, say) survives from one life of its slot to the next. Slots that
// were never taken cost no memory but address space. It belongs to one thread.
type Table[T any] struct{ store[T] }

// NewTable makes a table of n slots.
func NewTable[T any](n int) *Table[T] {
	if n < 1 {
		panic(fmt.Sprintf("ring: a table has at least one slot, %d were asked for", n))
	}
	return &Table[T]{store[T]{items: make([]T, n), lives: lives{slots: make([]life, 0, n), idle: make([]uint32, 0, n)}}}
}

// Take takes a slot: the one freed last, or else the lowest of those never taken. The item is as the slot's last life left
// it; the token names it, and [Token.As] makes one for each kind of its operations. Without a free slot the item is nil.
func (t *Table[T]) Take(kind uint8) (Token, *T) {
	if t.Taken() == len(t.items) {
		return 0, nil
	}
	token := t.take(kind)
	return token, &t.items[token.Slot()]
}

// Free frees the slot that a token names. It panics if the slot has been freed before. No operation that carries the token
// may be in flight, unless its completion is to be ignored.
func (t *Table[T]) Free(token Token) { t.free(token) }

// All yields the items of the slots that are taken, the lowest slot first. Slots may be taken and freed while it runs.
func (t *Table[T]) All() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for i := 0; i < len(t.slots); i++ {
			if t.slots[i].taken && !yield(&t.items[i]) {
				return
			}
		}
	}
}

// Len is the number of slots, taken or not.
func (t *Table[T]) Len() int { return len(t.items) }
