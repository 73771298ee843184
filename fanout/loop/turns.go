package loop

import (
	"slices"
	"time"

	"oneplusn/fanout/metrics"
)

// turnBounds are the upper bounds of the histogram of turns.
var turnBounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond,
}

// Turns measures how long turns of the loop take, from the return of one Wait to the next. No other client is served
// meanwhile, so a slow turn is logged with its longest step and request.
type Turns struct {
	loop     *Loop
	slow     time.Duration // a turn that takes longer is logged; 0 for none
	describe func(took time.Duration) []any
	counts   [len(turnBounds) + 1]uint64
	seconds  float64
	log      LogLimit

	began, mark time.Duration
	// The longest step and the longest request of the turn under way.
	step                  string
	stepTook, requestTook time.Duration
}

// NewTurns measures a loop that has its kernel. describe returns the log attributes of the longest request of a slow turn.
func NewTurns(l *Loop, slow time.Duration, describe func(took time.Duration) []any) *Turns {
	return &Turns{loop: l, slow: slow, describe: describe}
}

// Begin begins a turn, after [Loop.BeginTurn].
func (t *Turns) Begin() {
	t.began, t.mark = t.loop.Now(), t.loop.Now()
	t.stepTook, t.requestTook = 0, 0
}

// Stepped ends a step of the turn.
func (t *Turns) Stepped(name string) {
	now := t.loop.Kernel.Now()
	if took := now - t.mark; took > t.stepTook {
		t.step, t.stepTook = name, took
	}
	t.mark = now
}

// Requested notes a request that began at the given time and has run. It reports whether the request is the longest of the turn so
// far, the one to describe.
func (t *Turns) Requested(began time.Duration) bool {
	took := t.loop.Kernel.Now() - began
	if took <= t.requestTook {
		return false
	}
	t.requestTook = took
	return true
}

// End counts the turn, and logs it if it was slow.
func (t *Turns) End() {
	took := t.loop.Kernel.Now() - t.began
	within, _ := slices.BinarySearch(turnBounds[:], took)
	t.counts[within]++
	t.seconds += took.Seconds()
	if t.slow == 0 || took <= t.slow || !t.log.Allow(t.began) {
		return
	}
	attrs := []any{"took", took, "step", t.step, "step_took", t.stepTook}
	if t.requestTook > 0 {
		attrs = append(attrs, t.describe(t.requestTook)...)
	}
	t.loop.Log.Warn("slow turn of the loop: all clients waited", attrs...)
}

// Histogram counts the turns by how long they took.
func (t *Turns) Histogram() metrics.Histogram {
	h := metrics.Histogram{Counts: slices.Clone(t.counts[:]), Seconds: t.seconds}
	for _, b := range turnBounds {
		h.Bounds = append(h.Bounds, b.Seconds())
	}
	return h
}
