package probe

import (
	"sync"
	"testing"
)

// The kernel keeps the cap on workers for each task: set on one thread and read on another, it would be 0. Many probes at
// once make the scheduler move their goroutines.
func TestWorkerCapIsReadOnTheThreadThatSetIt(t *testing.T) {
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 150 {
				for _, c := range probeRing() {
					if c.Name == "worker cap" && !c.OK {
						t.Errorf("found %s, need %s", c.Found, c.Need)
						return
					}
				}
			}
		})
	}
	group.Wait()
}
