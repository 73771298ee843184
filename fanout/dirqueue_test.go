package fanout

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Changes of one name run one after the other, in the order in which they came; those of other names do not wait for them;
// and in the end nothing is held. Random changes with random names, owners and ends.
func TestChangesOfOneNameRunInTheirOrderAndOthersBeside(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	var q dirQueue
	type change struct {
		number int
		job    *dirJob
	}
	var (
		running  []change
		holder   = map[string]int{} // by name, the change that runs
		last     = map[string]int{} // by name, the last that ran
		began    int
		together int
	)
	end := func(i int) {
		c := running[i]
		if c.job.owners == 1 {
			for _, name := range c.job.names {
				if holder[name] != c.number {
					t.Fatalf("%s is held by change %d and by %d", name, c.number, holder[name])
				}
				delete(holder, name)
			}
			running = append(running[:i], running[i+1:]...)
		}
		c.job.release()
	}
	const changes = 2000
	for number := 1; number <= changes; number++ {
		names := make([]string, rng.IntN(4))
		for i := range names {
			names[i] = fmt.Sprint("t", rng.IntN(20))
		}
		q.enter(names, func(job *dirJob) {
			began++
			for _, name := range job.names {
				if holder[name] != 0 {
					t.Fatalf("change %d runs while %d holds %s", number, holder[name], name)
				}
				if last[name] > number {
					t.Fatalf("change %d of %s runs after %d", number, name, last[name])
				}
				holder[name], last[name] = number, number
			}
			for range rng.IntN(3) {
				job.retain()
			}
			running = append(running, change{number, job})
			together = max(together, len(running))
		})
		for len(running) > 0 && rng.IntN(3) > 0 {
			end(rng.IntN(len(running)))
		}
	}
	for len(running) > 0 {
		end(rng.IntN(len(running)))
	}
	if began != changes || !q.idle() {
		t.Errorf("%d of %d changes ran; idle %v", began, changes, q.idle())
	}
	if together < 2 || together > maxDirJobs {
		t.Errorf("%d changes ran beside each other, want 2 to %d", together, maxDirJobs)
	}
}

func TestNamesThatNobodyHoldsAreNotGivenBack(t *testing.T) {
	var q dirQueue
	var kept *dirJob
	q.enter([]string{"t"}, func(job *dirJob) { kept = job })
	kept.release()
	for name, misuse := range map[string]func(){"release": kept.release, "retain": kept.retain} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of names that were given back goes unnoticed", name)
				}
			}()
			misuse()
		}()
	}
}

// However many ask for a file to be written, one write is under way, and the next covers all who asked meanwhile.
func TestSharedFileIsWrittenOnceForAllWhoAskMeanwhile(t *testing.T) {
	var (
		q       dirQueue
		pending heldJobs
		writes  int
		state   int
		wrote   int
	)
	q.jobs = &pending
	f := sharedFile{begin: func() (func() error, func()) {
		writes++
		content := state
		return func() error { return nil }, func() { wrote = content }
	}}
	answered := 0
	for i := range 100 {
		state = i
		q.write(&f, func(err error) {
			answered++
			if err != nil || wrote < i {
				t.Errorf("request %d is answered when %d was written, %v", i, wrote, err)
			}
		})
	}
	for len(pending) > 0 {
		run := pending[0]
		pending = pending[1:]
		run()
	}
	if writes != 2 || answered != 100 || wrote != 99 || !q.idle() {
		t.Errorf("%d writes, %d answers, %d was written last, idle %v; want 2, 100 and 99", writes, answered, wrote, q.idle())
	}
	bad := errors.New("no")
	f.begin = func() (func() error, func()) {
		return func() error { return bad }, func() { t.Error("it was written") }
	}
	var got error
	q.write(&f, func(err error) { got = err })
	pending[0]()
	if got != bad || !q.idle() {
		t.Errorf("a write that fails is answered with %v", got)
	}
}

// heldJobs are run when a test says so.
type heldJobs []func()

func (h *heldJobs) Go(work, done func()) { *h = append(*h, func() { work(); done() }) }
