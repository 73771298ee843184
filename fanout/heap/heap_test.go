package heap

import (
	"math/rand/v2"
	"testing"
)

type item struct {
	rank int
	Place
}

func (i *item) Before(other *item) bool { return i.rank < other.rank }
func (i *item) HeapPlace() *Place       { return &i.Place }

// Whatever is pushed, removed and changed, the first is never behind another.
func TestFirstComesBeforeAllOthers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	items := make([]item, 50)
	var h Heap[*item]
	for step := range 20_000 {
		it := &items[rng.IntN(len(items))]
		switch {
		case !it.Linked():
			it.rank = rng.IntN(30)
			h.Push(it)
		case rng.IntN(2) == 0:
			h.Remove(it)
			h.Remove(it) // does nothing
		default:
			it.rank = rng.IntN(30)
			h.Fix(it)
		}
		n := 0
		for i := range items {
			if items[i].Linked() {
				if n++; items[i].Before(h.First()) {
					t.Fatalf("step %d: the first has rank %d, another %d", step, h.First().rank, items[i].rank)
				}
			}
		}
		if n != h.Len() {
			t.Fatalf("step %d: %d items are linked, the heap has %d", step, n, h.Len())
		}
	}
	last := -1
	for h.Len() > 0 {
		first := h.First()
		if first.rank < last {
			t.Fatalf("rank %d came out after %d", first.rank, last)
		}
		last = first.rank
		h.Remove(first)
	}
}
