package ring

// Slots is a table of the owners of operations in flight. It grows as needed, and drops an item when its slot is freed. The
// zero value is empty. It belongs to one thread.
type Slots[T any] struct{ store[T] }

// Take takes a slot for item. The token names it, for operations of one kind.
func (s *Slots[T]) Take(kind uint8, item T) Token {
	t := s.take(kind)
	if int(t.Slot()) == len(s.items) {
		s.items = append(s.items, item)
	}
	s.items[t.Slot()] = item
	return t
}

// Free frees the slot that a token names, and returns its item. It panics if the slot has been freed before.
func (s *Slots[T]) Free(t Token) T {
	s.free(t)
	at := &s.items[t.Slot()]
	item := *at
	*at = *new(T)
	return item
}

// store is common to [Slots] and [Table].
type store[T any] struct {
	lives
	items []T
}

// Find returns the item that a token names, or nil if its slot has been freed since. The pointer is good until the slot is
// freed, and in [Slots] until the next Take.
func (s *store[T]) Find(t Token) *T {
	if !s.current(t) {
		return nil
	}
	return &s.items[t.Slot()]
}

// lives gives out the slots of a table. It is the only code that compares generations: a slot's generation goes up when the
// slot is freed, so a completion that comes late finds nothing.
type lives struct {
	slots []life   // of the slots ever taken
	idle  []uint32 // those of them that are free; the one freed last is taken next, because its memory is warm
}

type life struct {
	generation uint32
	taken      bool
}

func (l *lives) take(kind uint8) Token {
	n := len(l.idle)
	if n == 0 {
		l.slots = append(l.slots, life{taken: true})
		return NewToken(kind, uint32(len(l.slots)-1), 0)
	}
	slot := l.idle[n-1]
	l.idle = l.idle[:n-1]
	l.slots[slot].taken = true
	return NewToken(kind, slot, l.slots[slot].generation)
}

// current reports whether a token's slot is taken, in the token's generation.
func (l *lives) current(t Token) bool {
	slot := t.Slot()
	return int(slot) < len(l.slots) && l.slots[slot] == life{generation: t.Generation(), taken: true}
}

func (l *lives) free(t Token) {
	if !l.current(t) {
		panic("ring: a slot is freed that is not taken: " + t.String())
	}
	l.slots[t.Slot()] = life{generation: (t.Generation() + 1) & MaxGeneration}
	l.idle = append(l.idle, t.Slot())
}

// Taken is the number of slots taken.
func (l *lives) Taken() int { return len(l.slots) - len(l.idle) }
