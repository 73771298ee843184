package ring

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A table gives its lowest slots first, keeps what an item owns over the lives of its slot, and refuses when it is full.
func TestTableKeepsItemsInPlace(t *testing.T) {
	table := NewTable[[]byte](3)
	var tokens []Token
	var items []*[]byte
	for slot := range uint32(3) {
		token, item := table.Take(7)
		if token.Slot() != slot || token.Kind() != 7 || *item != nil {
			t.Fatalf("slot %d: got %v with %q", slot, token, *item)
		}
		*item = []byte{byte(slot)}
		tokens, items = append(tokens, token), append(items, item)
	}
	if _, item := table.Take(7); item != nil || table.Taken() != 3 || table.Len() != 3 {
		t.Fatalf("a full table gave %v, %d are taken", item, table.Taken())
	}
	table.Free(tokens[1])
	var left [][]byte
	for item := range table.All() {
		left = append(left, *item)
	}
	if len(left) != 2 || left[0][0] != 0 || left[1][0] != 2 || table.Find(tokens[1]) != nil {
		t.Errorf("after slot 1 was freed the table has %v", left)
	}
	again, item := table.Take(7)
	if again.Slot() != 1 || again == tokens[1] || item != items[1] || (*item)[0] != 1 {
		t.Errorf("the freed slot comes back as %v with %q at %p, it was at %p", again, *item, item, items[1])
	}
	if table.Find(tokens[1]) != nil || table.Find(again.As(9)) != item || table.Find(NewToken(7, 99, 0)) != nil {
		t.Error("a token finds what it does not name")
	}
	defer func() {
		if recover() == nil {
			t.Error("a slot can be freed twice")
		}
	}()
	table.Free(tokens[1])
}

// Whatever is taken and freed, tokens find the items of their own life and no other, and the sizes add up.
func TestTokensFindTheirOwnLife(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	table, slots := NewTable[int](8), Slots[int]{}
	type pair struct {
		inTable, inSlots Token
		value            int
	}
	var live, dead []pair
	for step := range 20_000 {
		if token, item := table.Take(1); item != nil && rng.IntN(2) == 0 {
			*item = step
			live = append(live, pair{token, slots.Take(2, step), step})
		} else if item != nil {
			table.Free(token)
		}
		if len(live) > 0 && rng.IntN(3) == 0 {
			i := rng.IntN(len(live))
			table.Free(live[i].inTable)
			if got := slots.Free(live[i].inSlots); got != live[i].value {
				t.Fatalf("step %d: freeing gives %d, want %d", step, got, live[i].value)
			}
			dead = append(dead, live[i])
			live = slices.Delete(live, i, i+1)
		}
		for _, p := range live {
			if *table.Find(p.inTable) != p.value || *slots.Find(p.inSlots) != p.value {
				t.Fatalf("step %d: a token does not find its item", step)
			}
		}
		for _, p := range dead[max(0, len(dead)-20):] {
			if table.Find(p.inTable) != nil || slots.Find(p.inSlots) != nil {
				t.Fatalf("step %d: the token of a life that ended finds something", step)
			}
		}
		if table.Taken() != len(live) || slots.Taken() != len(live) {
			t.Fatalf("step %d: %d and %d are taken, want %d", step, table.Taken(), slots.Taken(), len(live))
		}
	}
}
