package scenario

import (
	"slices"
	"time"
)

// fact is what the model knows of something that requests change: the values that it may have. There is one while nothing is under way.
type fact[T comparable] struct {
	may      []T
	underWay int
	serial   int // of the last change that began
	watches  []*watch[T]
}

// watch gathers the values that a fact may have had while a question waited for its answer.
type watch[T comparable] struct{ may []T }

// outcome is what is known of a change after its request.
type outcome int

const (
	done    outcome = iota
	refused         // it was not made
	unknown         // no answer, or an error that says neither
)

func newFact[T comparable](value T) *fact[T] { return &fact[T]{may: []T{value}} }

// is reports whether the fact is certain to have a value.
func (f *fact[T]) is(value T) bool { return len(f.may) == 1 && f.may[0] == value }

// certain is the value, if there is only one.
func (f *fact[T]) certain() (value T, ok bool) {
	if len(f.may) == 1 {
		return f.may[0], true
	}
	return value, false
}

// lostTime is how long a change whose connection has ended may still be under way in the server.
const lostTime = 10 * time.Second

// change says that a change to a value has been asked for. The caller says how it ended.
func (f *fact[T]) change(w *World, to T) (ended func(outcome)) {
	before := slices.Clone(f.may)
	f.underWay++
	f.serial++
	serial, alone := f.serial, f.underWay == 1
	f.allow(to)
	life := w.lives
	return func(o outcome) {
		if life != w.lives {
			return // the end of the life ended it: see settle
		}
		if o == unknown {
			w.machine.After(lostTime, func() {
				if life == w.lives {
					f.underWay--
				}
			})
			return
		}
		f.underWay--
		if alone && f.serial == serial {
			if f.may = []T{to}; o == refused {
				f.may = before
			}
		}
	}
}

// allow adds a value to those that the fact may have.
func (f *fact[T]) allow(value T) {
	if !slices.Contains(f.may, value) {
		f.may = append(f.may, value)
	}
	for _, w := range f.watches {
		if !slices.Contains(w.may, value) {
			w.may = append(w.may, value)
		}
	}
}

// settle says that nothing is under way any more: the server has ended.
func (f *fact[T]) settle() { f.underWay = 0 }

// watch begins to gather.
func (f *fact[T]) watch() *watch[T] {
	w := &watch[T]{slices.Clone(f.may)}
	f.watches = append(f.watches, w)
	return w
}

// unwatch ends a watch, and returns what the fact may have been since it began.
func (f *fact[T]) unwatch(w *watch[T]) []T {
	f.watches = slices.DeleteFunc(f.watches, func(x *watch[T]) bool { return x == w })
	return w.may
}
