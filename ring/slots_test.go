package ring

import "testing"

// A completion for an earlier owner of a slot finds nothing, even if the slot has a new owner.
func TestTokenOfAFreedSlotFindsNothing(t *testing.T) {
	var s Slots[string]
	first := s.Take(7, "first")
	other := s.Take(7, "other")
	if got := s.Find(first); got == nil || *got != "first" || first.Kind() != 7 || s.Taken() != 2 {
		t.Fatalf("%v finds %v, %d are taken", first, got, s.Taken())
	}
	if got := s.Free(first); got != "first" {
		t.Errorf("freeing gives %q", got)
	}
	if s.Find(first) != nil {
		t.Error("a freed slot is found")
	}
	second := s.Take(7, "second")
	if second.Slot() != first.Slot() || second == first {
		t.Fatalf("the slot of %v is not used again with another generation: %v", first, second)
	}
	if s.Find(first) != nil || *s.Find(second) != "second" || *s.Find(other) != "other" {
		t.Error("a token of the slot's earlier life finds its present one")
	}
	if s.Find(NewToken(7, 99, 0)) != nil {
		t.Error("a slot that never was is found")
	}
	defer func() {
		if recover() == nil {
			t.Error("a slot can be freed twice")
		}
	}()
	s.Free(first)
}
