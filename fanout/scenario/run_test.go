package scenario

import (
	"flag"
	"strings"
	"testing"
	"time"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "run this one seed of the simulation")
	simSeeds = flag.Int("sim.seeds", 20, "how many seeds to run")
)

// Whatever the machine does, and however the server ends, readers see the same record at the same place for ever, and what was
// acknowledged is there at the end, unless the flush policy allows its loss; and nothing is left behind.
func TestSimulatedServerKeepsItsPromises(t *testing.T) {
	first, last := uint64(1), uint64(*simSeeds)
	if *simSeed != 0 {
		first, last = *simSeed, *simSeed
	}
	var simulated time.Duration
	records := 0
	for seed := first; seed <= last; seed++ {
		w := New(seed)
		if failed := w.Run(); len(failed) > 0 {
			t.Fatalf("seed %d, --fsync=%s, %v after the start:\n%s\n\nthe server's log:\n%s\n\nagain: make sim SEED=%d",
				seed, w.fsync, w.machine.Now(), strings.Join(failed[:min(len(failed), 10)], "\n"), w.LastLog(), seed)
		}
		simulated += w.machine.Now()
		records += len(w.model.order)
	}
	t.Logf("%d seeds: %v simulated, %d records", last-first+1, simulated, records)
	coverage(t)
}

func TestSimulatedRunIsRepeatedByItsSeed(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		a, b := New(seed), New(seed)
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
