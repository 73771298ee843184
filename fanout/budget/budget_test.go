package budget

import (
	"strings"
	"testing"
)

func TestSharesTakeOfTheWholeAndNeverMoreThanTheirLimit(t *testing.T) {
	whole := New("request", "raise --request-memory", 100)
	large, rest := whole.Share("large", 60), whole.Share("rest", 80)
	for _, step := range []struct {
		of   *Budget
		n    int64
		want bool
	}{
		{large, 61, false}, {large, 60, true}, {large, 1, false},
		{rest, 41, false}, {rest, 40, true}, {rest, 1, false}, {whole, 1, false}, {whole, 0, true},
	} {
		if got := step.of.Take(step.n); got != step.want {
			t.Errorf("%d of %s with %d left: %v, want %v", step.n, step.of.Name(), step.of.Left(), got, step.want)
		}
	}
	large.Give(60)
	if whole.Used() != 40 || whole.Left() != 60 || rest.Left() != 40 || large.Used() != 0 {
		t.Errorf("whole %d used %d left, rest %d left, large %d used", whole.Used(), whole.Left(), rest.Left(), large.Used())
	}
	if text := rest.Refusal("a request", 41).Error(); !strings.Contains(text, "raise --request-memory") {
		t.Errorf("the refusal names no remedy: %s", text)
	}
}

func TestGivingBackMoreThanWasTakenPanics(t *testing.T) {
	for name, f := range map[string]func(*Budget){
		"more than taken": func(b *Budget) { b.Give(6) },
		"negative give":   func(b *Budget) { b.Give(-1) },
		"negative take":   func(b *Budget) { b.Take(-1) },
	} {
		b := New("x", "y", 10)
		b.Take(5)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f(b)
		}()
	}
}
