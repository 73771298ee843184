// Package budget counts the use of limited resources by the parts of the server, before they take them.
//
// A budget may be a share of another one, which is charged too. So one limit holds for the whole, and
// each part has a share that the others cannot use up. Budgets belong to one thread.
package budget

import "fmt"

// Budget is a limit and its use, in bytes or another unit of its owner. The zero Budget has a limit of zero.
type Budget struct {
	name, remedy string
	limit, used  int64
	within       *Budget
}

// New makes a budget. name is its name in metrics, remedy what raises its limit, as in "raise --request-memory".
func New(name, remedy string, limit int64) *Budget {
	return &Budget{name: name, remedy: remedy, limit: limit}
}

// Share makes a budget of at most limit within b.
func (b *Budget) Share(name string, limit int64) *Budget {
	return &Budget{name: name, remedy: b.remedy, limit: limit, within: b}
}

// Name is the name in metrics.
func (b *Budget) Name() string { return b.name }

// Limit is the most that can be taken.
func (b *Budget) Limit() int64 { return b.limit }

// Used is the sum taken.
func (b *Budget) Used() int64 { return b.used }

// Left can still be taken, here and from the budgets around it.
func (b *Budget) Left() int64 {
	left := b.limit - b.used
	if b.within != nil {
		left = min(left, b.within.Left())
	}
	return left
}

// Take takes n, or nothing and reports false if that is more than is left. It is called before the memory is.
func (b *Budget) Take(n int64) bool {
	if n < 0 {
		panic(fmt.Sprintf("budget: %d taken of %s", n, b.name))
	}
	if n > b.Left() {
		return false
	}
	for of := b; of != nil; of = of.within {
		of.used += n
	}
	return true
}

// Force takes n even beyond the limit: for what was accepted before the limit was this low. A negative n is given back.
func (b *Budget) Force(n int64) {
	if n < 0 {
		b.Give(-n)
		return
	}
	for of := b; of != nil; of = of.within {
		of.used += n
	}
}

// Give gives back n that were taken.
func (b *Budget) Give(n int64) {
	for of := b; of != nil; of = of.within {
		if n < 0 || n > of.used {
			panic(fmt.Sprintf("budget: %d given back to %s, of which %d are taken", n, of.name, of.used))
		}
		of.used -= n
	}
}

// Refusal is the error for what needs more than is left.
func (b *Budget) Refusal(what string, n int64) error {
	return fmt.Errorf("%s needs %d bytes, %d of %d bytes of %s memory are taken: %s", what, n, b.used, b.limit, b.name, b.remedy)
}
