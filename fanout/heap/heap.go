// Package heap is an indexed binary heap: its elements know their place in it, so that one that is in the middle can leave, or
// change its rank, in O(log n).
//
// # Invariants
//
//   - An item is in at most one heap.
//   - A heap belongs to one goroutine at a time.
package heap

// Item is what a [Heap] holds: a pointer to something that embeds a [Place].
type Item[T any] interface {
	// Before says that this item comes out before other.
	Before(other T) bool
	// HeapPlace is the item's own Place, always the same.
	HeapPlace() *Place
}

// Place is where an item is in its heap. The zero value is for one that is in none.
type Place struct{ index int } // from 1 on; 0 for none

// Linked says that the item is in a heap.
func (p *Place) Linked() bool { return p.index > 0 }

// Heap holds items. The zero value is empty.
type Heap[T Item[T]] struct{ items []T }

// Len is the number of items.
func (h *Heap[T]) Len() int { return len(h.items) }

// First is the item that comes out before all others. There must be one.
func (h *Heap[T]) First() T { return h.items[0] }

// Push adds an item. It panics if the item is in a heap.
func (h *Heap[T]) Push(item T) {
	if item.HeapPlace().Linked() {
		panic("heap: an item is added that is in a heap")
	}
	h.items = append(h.items, item)
	item.HeapPlace().index = len(h.items)
	h.up(len(h.items) - 1)
}

// Remove takes an item out, if it is in the heap.
func (h *Heap[T]) Remove(item T) {
	place := item.HeapPlace()
	if !place.Linked() {
		return
	}
	i, last := place.index-1, len(h.items)-1
	h.swap(i, last)
	var none T
	h.items[last] = none
	h.items = h.items[:last]
	place.index = 0
	if i < last {
		h.down(i)
		h.up(i)
	}
}

// Fix puts an item where it belongs after its rank has changed. It must be in the heap.
func (h *Heap[T]) Fix(item T) {
	i := item.HeapPlace().index - 1
	h.down(i)
	h.up(i)
}

func (h *Heap[T]) swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	h.items[i].HeapPlace().index, h.items[j].HeapPlace().index = i+1, j+1
}

func (h *Heap[T]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.items[i].Before(h.items[parent]) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *Heap[T]) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h.items); child++ {
			if h.items[child].Before(h.items[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}
