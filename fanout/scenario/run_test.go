package scenario

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "run this one seed of the simulation")
	simFirst = flag.Uint64("sim.first", 1, "the first of several seeds")
	simSeeds = flag.Int("sim.seeds", 20, "how many seeds to run")
)

// Whatever the machine does, and however the server ends, every client sees what the model allows, and nothing else.
func TestSimulatedServerKeepsItsPromises(t *testing.T) {
	first, last := *simFirst, *simFirst+uint64(*simSeeds)-1
	if *simSeed != 0 {
		first, last = *simSeed, *simSeed
	}
	var simulated time.Duration
	answers, delivered := 0, 0
	began := time.Now()
	for seed := first; seed <= last; seed++ {
		w := New(Draw(seed))
		if w.Run(); len(w.failed) > 0 {
			t.Fatal(w.Report())
		}
		simulated += w.machine.Now()
		answers += w.answers
		delivered += w.delivered
	}
	t.Logf("%d seeds: %v simulated, %d answers, %d records delivered, %.0f simulated seconds a second", last-first+1, simulated.Round(time.Second),
		answers, delivered, simulated.Seconds()/time.Since(began).Seconds())
	coverage(t)
}

func TestSimulatedRunIsRepeatedByItsSeed(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		a, b := New(Draw(seed)), New(Draw(seed))
		a.Run()
		b.Run()
		for i, line := range a.lines {
			if i == len(b.lines) || line != b.lines[i] {
				t.Fatalf("seed %d: step %d of one run is %v, and of another %v", seed, i, line, b.lines[i:min(i+1, len(b.lines))])
			}
		}
		if len(a.lines) != len(b.lines) {
			t.Fatalf("seed %d: one run has %d steps, another %d", seed, len(a.lines), len(b.lines))
		}
	}
}

func TestScriptsAreReadAsTheyWereWritten(t *testing.T) {
	drawn := Draw(3)
	var text strings.Builder
	if _, err := drawn.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	read, err := ReadScript(strings.NewReader(text.String()))
	if err != nil || fmt.Sprint(*read) != fmt.Sprint(*drawn) {
		t.Errorf("%v was written, and read as %v: %v", *drawn, read, err)
	}
}
