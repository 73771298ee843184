//go:build !invariants

// Package mark counts how often rare branches are met. A run of the simulation prints the counts at its end, and a mark that it never
// met says that nothing has shown the branch to work.
//
//	if errno == unix.EAGAIN {
//		mark.Hit("the socket of a splice was full")
//		...
//
// The name is a literal, and no other mark has it. The build tag invariants turns the counts on. Without it the compiler removes the
// calls, and their names.
package mark

// Hit counts a branch.
func Hit(string) {}

// HitIf counts a branch that needs no code of its own: that a condition, which has no effects, holds.
func HitIf(bool, string) {}

// Pause stops the counting, or goes on with it: what a program that was killed still does shows nothing.
func Pause(bool) {}

// Counts are the marks that were met, by name. In builds without the tag invariants there are none.
func Counts() map[string]int { return nil }
