//go:build invariants

package mark

import (
	"maps"
	"sync"
)

var (
	mutex  sync.Mutex
	counts = make(map[string]int)
	paused bool
)

// Hit counts a branch.
func Hit(name string) {
	mutex.Lock()
	defer mutex.Unlock()
	if !paused {
		counts[name]++
	}
}

// HitIf counts a branch that needs no code of its own: that a condition, which has no effects, holds.
func HitIf(met bool, name string) {
	if met {
		Hit(name)
	}
}

// Pause stops the counting, or goes on with it: what a program that was killed still does shows nothing.
func Pause(on bool) {
	mutex.Lock()
	defer mutex.Unlock()
	paused = on
}

// Counts are the marks that were met, by name.
func Counts() map[string]int {
	mutex.Lock()
	defer mutex.Unlock()
	return maps.Clone(counts)
}
