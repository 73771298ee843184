package list

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// After any operations a list has the same values as a slice after the same operations.
func TestListIsWhatASliceWouldBe(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var l List[int]
	var model []int
	nodes := make([]Node[int], 20)
	for step := range 10_000 {
		i := rng.IntN(len(nodes))
		n := &nodes[i]
		at := slices.Index(model, i)
		if n.Linked() != (at >= 0) || n.In(&l) != (at >= 0) {
			t.Fatalf("step %d: node %d says that it is linked: %v", step, i, n.Linked())
		}
		switch op := rng.IntN(4); {
		case at < 0 && op == 0:
			l.PushFront(n, i)
			model = slices.Insert(model, 0, i)
		case at < 0:
			l.PushBack(n, i)
			model = append(model, i)
		case op == 0:
			l.MoveToBack(n)
			model = append(slices.Delete(model, at, at+1), i)
		default:
			n.Remove()
			model = slices.Delete(model, at, at+1)
		}
		got := slices.Collect(l.All())
		if !slices.Equal(got, model) || l.Len() != len(model) {
			t.Fatalf("step %d: the list holds %v, want %v", step, got, model)
		}
		if last := l.Last(); (last == nil) != (len(model) == 0) || last != nil && last.Value() != model[len(model)-1] {
			t.Fatalf("step %d: the last node is wrong", step)
		}
	}
}

func TestNodeIsInOneListAtMost(t *testing.T) {
	var a, b List[string]
	var n Node[string]
	a.PushBack(&n, "x")
	for _, wrong := range []func(){func() { b.PushBack(&n, "x") }, func() { a.PushFront(&n, "x") }, func() { b.MoveToBack(&n) }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a node in a list was taken by another")
				}
			}()
			wrong()
		}()
	}
	n.Remove()
	n.Remove() // of a node that is in none does nothing
	b.PushBack(&n, "y")
	if a.Len() != 0 || b.Len() != 1 {
		t.Errorf("%d and %d nodes, want 0 and 1", a.Len(), b.Len())
	}
}
