package group

import "maps"

// table is a map that gives memory back: a Go map keeps what it needed when it was largest, and what a client made large
// once would be held without being charged.
type table[K comparable, V any] struct {
	all  map[K]V
	high int // the largest length since it was made
}

// shrinkFrom is the length up to which a map stays as it is.
const shrinkFrom = 64

func (t *table[K, V]) get(key K) V { return t.all[key] }

func (t *table[K, V]) len() int { return len(t.all) }

func (t *table[K, V]) put(key K, value V) {
	if t.all == nil {
		t.all = make(map[K]V)
	}
	t.all[key] = value
	t.high = max(t.high, len(t.all))
}

func (t *table[K, V]) remove(key K) {
	delete(t.all, key)
	switch n := len(t.all); {
	case n == 0:
		*t = table[K, V]{}
	case t.high > shrinkFrom && n < t.high/8:
		all := make(map[K]V, n)
		maps.Copy(all, t.all)
		*t = table[K, V]{all: all, high: n}
	}
}
