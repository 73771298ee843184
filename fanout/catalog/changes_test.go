package catalog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Changes of one name run one after the other, in the order in which they came; those of other names do not wait for them;
// and in the end nothing is held. Random changes with random names and ends.
func TestChangesOfOneNameRunInTheirOrderAndOthersBeside(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	var q changeQueue
	type numbered struct {
		number int
		change *change
	}
	var (
		running  []numbered
		holder   = map[string]int{} // by name, the change that runs
		last     = map[string]int{} // by name, the last that ran
		began    int
		together int
	)
	end := func(i int) {
		c := running[i]
		for _, name := range c.change.names {
			if holder[name] != c.number {
				t.Fatalf("%s is held by change %d and by %d", name, c.number, holder[name])
			}
			delete(holder, name)
		}
		running = append(running[:i], running[i+1:]...)
		c.change.end()
	}
	const changes = 2000
	for number := 1; number <= changes; number++ {
		names := make([]string, rng.IntN(4))
		for i := range names {
			names[i] = fmt.Sprint("t", rng.IntN(20))
		}
		q.enter(names, func(ch *change) {
			began++
			for _, name := range ch.names {
				if holder[name] != 0 {
					t.Fatalf("change %d runs while %d holds %s", number, holder[name], name)
				}
				if last[name] > number {
					t.Fatalf("change %d of %s runs after %d", number, name, last[name])
				}
				holder[name], last[name] = number, number
			}
			running = append(running, numbered{number, ch})
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
	if together < 2 || together > maxChanges {
		t.Errorf("%d changes ran beside each other, want 2 to %d", together, maxChanges)
	}
}

func TestChangeThatDoesNotRunCannotEnd(t *testing.T) {
	var q changeQueue
	var first, second *change
	q.enter([]string{"t"}, func(ch *change) { first = ch })
	q.enter([]string{"t"}, func(ch *change) { second = ch })
	waiting := q.reserved["t"][1]
	ends := func(ch *change) (panicked bool) {
		defer func() { panicked = recover() != nil }()
		ch.end()
		return false
	}
	if !ends(waiting) || ends(first) || !ends(first) || second != waiting || ends(second) || !q.idle() {
		t.Error("a change ends that waits, or twice, or does not end")
	}
}

// However many changes write a file, one write is in flight, and the next one covers all changes that came meanwhile.
func TestSharedFileIsWrittenOnceForAllWhoAskMeanwhile(t *testing.T) {
	var (
		pending heldJobs
		writes  int
		state   int
		wrote   int
	)
	f := sharedFile{jobs: &pending, snapshot: func() (func() error, func()) {
		writes++
		content := state
		return func() error { return nil }, func() { wrote = content }
	}}
	answered := 0
	for i := range 100 {
		state = i
		f.write(func(err error) {
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
	if writes != 2 || answered != 100 || wrote != 99 || f.writing {
		t.Errorf("%d writes, %d answers, %d was written last, writing %v; want 2, 100 and 99", writes, answered, wrote, f.writing)
	}
	bad := errors.New("no")
	f.snapshot = func() (func() error, func()) {
		return func() error { return bad }, func() { t.Error("it was written") }
	}
	var got error
	f.write(func(err error) { got = err })
	pending[0]()
	if got != bad || f.writing {
		t.Errorf("a write that fails is answered with %v", got)
	}
}

// heldJobs are run when a test says so.
type heldJobs []func()

func (h *heldJobs) Go(work, done func()) { *h = append(*h, func() { work(); done() }) }
