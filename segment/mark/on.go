//go:build invariants

package mark

import (
	"maps"
	"sync"
)

var (
	mutex  sync.Mutex
	counts = make(map[string]int)
)

// Hit counts a branch.
func Hit(name string) {
	mutex.Lock()
	counts[name]++
	mutex.Unlock()
}

// HitIf counts a branch that needs no code of its own: that a condition, which has no effects, holds.
func HitIf(met bool, name string) {
	if met {
		Hit(name)
	}
}

// Counts are the marks that were met, by name.
func Counts() map[string]int {
	mutex.Lock()
	defer mutex.Unlock()
	return maps.Clone(counts)
}
