package sim

import (
	"testing"
	"time"
)

func TestAnHourInWhichNothingHappensIsOneWait(t *testing.T) {
	k := New(1, Options{})
	if got, err := k.Wait(time.Hour); len(got) > 0 || err != nil || k.Now() < time.Hour || k.Now() > time.Hour+time.Second {
		t.Errorf("Wait of an hour returned %v, %v at %v", got, err, k.Now())
	}
}

func TestEventsHappenInTheOrderOfTheirTimesAndThenOfTheCalls(t *testing.T) {
	m := NewMachine(1, Options{})
	type when struct {
		at  time.Duration
		seq int
	}
	var last when
	happened := 0
	for i := range 1000 {
		at := time.Duration(m.random.IntN(100))
		m.After(at, func() {
			if at < last.at || at == last.at && i < last.seq || m.Now() != at {
				t.Errorf("event %d for %d happened at %v, after event %d for %d", i, at, m.Now(), last.seq, last.at)
			}
			last = when{at, i}
			happened++
		})
	}
	if m.advance(time.Second); happened != 1000 {
		t.Errorf("%d of 1000 events happened", happened)
	}
}
