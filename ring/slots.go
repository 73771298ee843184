package ring

// Slots is a table of what operations in flight are about. Each of its slots has a generation, which goes on when the slot
// is freed, so that a completion that comes late finds nothing. The zero value is empty. It belongs to one thread.
type Slots[T any] struct {
	slots []slot[T]
	free  []uint32
}

type slot[T any] struct {
	item       T
	generation uint32
	taken      bool
}

// Take takes a slot for item. The token names it, for operations of one kind.
func (s *Slots[T]) Take(kind uint8, item T) Token {
	n := len(s.free)
	if n == 0 {
		s.slots = append(s.slots, slot[T]{})
		s.free = append(s.free, uint32(len(s.slots)-1))
		n = 1
	}
	i := s.free[n-1]
	s.free = s.free[:n-1]
	at := &s.slots[i]
	at.item, at.taken = item, true
	return NewToken(kind, i, at.generation)
}

// Find is the item that a token names, or nil if its slot has been freed since. The pointer is good until the next Take or
// Free.
func (s *Slots[T]) Find(t Token) *T {
	if int(t.Slot()) >= len(s.slots) {
		return nil
	}
	at := &s.slots[t.Slot()]
	if !at.taken || at.generation != t.Generation() {
		return nil
	}
	return &at.item
}

// Free frees the slot that a token names, and returns what was in it. It panics if the token names none.
func (s *Slots[T]) Free(t Token) T {
	found := s.Find(t)
	if found == nil {
		panic("ring: a slot is freed that is not taken: " + t.String())
	}
	item := *found
	s.slots[t.Slot()] = slot[T]{generation: (t.Generation() + 1) & MaxGeneration}
	s.free = append(s.free, t.Slot())
	return item
}

// Taken is how many slots are taken.
func (s *Slots[T]) Taken() int { return len(s.slots) - len(s.free) }
