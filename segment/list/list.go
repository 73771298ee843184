// Package list is an intrusive doubly linked list: elements carry their own links, so adding and removing allocates nothing, and
// removal needs no search. It is pure, and lies this low because segment uses it too.
//
// # Invariants
//
//   - A node is in at most one list, and does not move while it is in one.
//   - A list belongs to one goroutine at a time.
package list

import (
	"fmt"
	"iter"
)

// List is a list of values of type T. The zero value is empty.
type List[T any] struct {
	first, last *Node[T]
	n           int
}

// Node links one value into a list. It is embedded in its value. The zero value is in no list.
type Node[T any] struct {
	list       *List[T]
	prev, next *Node[T]
	value      T
}

// Len is the number of nodes.
func (l *List[T]) Len() int { return l.n }

// First is the first node, or nil.
func (l *List[T]) First() *Node[T] { return l.first }

// Last is the last node, or nil.
func (l *List[T]) Last() *Node[T] { return l.last }

// All yields the values in order. The loop's body may remove the current one.
func (l *List[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for n := l.first; n != nil; {
			next := n.next
			if !yield(n.value) {
				return
			}
			n = next
		}
	}
}

// PushBack adds a node at the end. It panics if the node is in a list.
func (l *List[T]) PushBack(n *Node[T], value T) { l.insert(n, value, l.last, nil) }

// PushFront adds a node before all others. It panics if the node is in a list.
func (l *List[T]) PushFront(n *Node[T], value T) { l.insert(n, value, nil, l.first) }

func (l *List[T]) insert(n *Node[T], value T, prev, next *Node[T]) {
	if n.list != nil {
		panic("list: a node is added that is already in a list")
	}
	n.list, n.prev, n.next, n.value = l, prev, next, value
	if prev != nil {
		prev.next = n
	} else {
		l.first = n
	}
	if next != nil {
		next.prev = n
	} else {
		l.last = n
	}
	l.n++
}

// Value is the value that the node was added with, or of a nil node, as an empty list has it, the zero value.
func (n *Node[T]) Value() (value T) {
	if n != nil {
		value = n.value
	}
	return value
}

// Next is the node behind this one, or nil.
func (n *Node[T]) Next() *Node[T] { return n.next }

// Linked reports whether the node is in a list.
func (n *Node[T]) Linked() bool { return n.list != nil }

// In reports whether the node is in l.
func (n *Node[T]) In(l *List[T]) bool { return n.list == l }

// Remove removes the node from its list, if it is in one.
func (n *Node[T]) Remove() {
	l := n.list
	if l == nil {
		return
	}
	if n.prev != nil && n.prev.next != n || n.next != nil && n.next.prev != n || l.n < 1 {
		panic(fmt.Sprintf("list: a node is removed whose neighbours do not know it: it was moved or copied (%d in the list)", l.n))
	}
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		l.first = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		l.last = n.prev
	}
	l.n--
	*n = Node[T]{}
}

// MoveToBack makes a node of the list its last one. It panics if the node is not in the list.
func (l *List[T]) MoveToBack(n *Node[T]) {
	if n.list != l {
		panic("list: a node is moved to the back of a list that it is not in")
	}
	if l.last == n {
		return
	}
	value := n.value
	n.Remove()
	l.PushBack(n, value)
}
