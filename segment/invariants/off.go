//go:build !invariants

// Package invariants says whether checks that cost much run: recounts and walks that hold what cheap assertions cannot.
// The build tag invariants turns them on; `make test` and `make race` set it. Without the tag the compiler removes them.
//
//	if invariants.Enabled {
//		t.recount() // panics with what was expected and what was seen
//	}
package invariants

// Enabled is false in builds without the tag invariants.
const Enabled = false
