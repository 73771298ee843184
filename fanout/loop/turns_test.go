package loop

import (
	"log/slog"
	"testing"
	"time"

	"oneplusn/ring"
)

// ticking is a clock that a test moves.
type ticking struct {
	ring.Kernel
	now time.Duration
}

func (k *ticking) Now() time.Duration { return k.now }

func TestTurnsAreSortedIntoTheirBuckets(t *testing.T) {
	k := &ticking{}
	l := New(slog.New(slog.DiscardHandler), ThisMachine())
	l.Use(k)
	turns := NewTurns(l, 0, nil)
	for _, took := range []time.Duration{0, 100 * time.Microsecond, 101 * time.Microsecond, 50 * time.Millisecond, time.Hour} {
		l.BeginTurn()
		turns.Begin()
		k.now += took
		turns.End()
	}
	counts := turns.Histogram().Counts
	if counts[0] != 2 || counts[1] != 1 || counts[8] != 1 || counts[len(turnBounds)] != 1 {
		t.Errorf("the counts are %v", counts)
	}
}
