package fanout

import (
	"log/slog"
	"time"

	"oneplusn/fanout/conn"
	"oneplusn/fanout/loop"
	"oneplusn/fanout/metrics"
	"oneplusn/fanout/wire"
	"oneplusn/ring"
)

// turnBounds are the upper bounds of the histogram of turns.
var turnBounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond,
}

// turnTimes measure how long turns of the loop take, from the return of one Wait to the next. Nobody is served meanwhile, so
// a turn that takes long is logged, with what it did.
type turnTimes struct {
	kernel  ring.Kernel
	limit   time.Duration // from which on a turn is logged; 0 for none
	counts  [len(turnBounds) + 1]uint64
	seconds float64
	log     loop.LogLimit

	began, mark time.Duration
	// The longest step and the longest request of the turn under way.
	step     string
	stepTook time.Duration
	request  slowRequest
}

// slowRequest is what is to be said of a request after its frame has gone.
type slowRequest struct {
	took         time.Duration
	key, version int16
	bytes        int
	conn         *conn.Conn // for its peer: connections never move
	client       [64]byte
	clientBytes  int
}

// begin begins a turn.
func (t *turnTimes) begin(now time.Duration) {
	t.began, t.mark = now, now
	t.stepTook, t.request.took = 0, 0
}

// stepped ends a step of the turn.
func (t *turnTimes) stepped(name string) {
	now := t.kernel.Now()
	if took := now - t.mark; took > t.stepTook {
		t.step, t.stepTook = name, took
	}
	t.mark = now
}

// slowRequestOf copies what is to be said of a request from its frame, before it is given back.
func slowRequestOf(c *client, frameBytes int) slowRequest {
	r := slowRequest{key: c.header.Key, version: c.header.Version, bytes: frameBytes, conn: c.Conn}
	r.clientBytes = copy(r.client[:], c.header.ClientID)
	return r
}

// requested notes a request that began at the time given and has been answered, or has begun to be.
func (t *turnTimes) requested(r *slowRequest, began time.Duration) {
	if r.took = t.kernel.Now() - began; r.took > t.request.took {
		t.request = *r
	}
}

// end ends the turn.
func (t *turnTimes) end(log *slog.Logger) {
	took := t.kernel.Now() - t.began
	i := 0
	for i < len(turnBounds) && took > turnBounds[i] {
		i++
	}
	t.counts[i]++
	t.seconds += took.Seconds()
	if t.limit == 0 || took <= t.limit || !t.log.Allow(t.began) {
		return
	}
	attrs := []any{"took", took, "step", t.step, "step_took", t.stepTook}
	if r := &t.request; r.took > 0 {
		attrs = append(attrs, "request", wire.Describe(r.key), "version", r.version, "request_took", r.took, "bytes", r.bytes,
			"client", string(r.client[:r.clientBytes]), "peer", r.conn.Peer())
	}
	log.Warn("a turn of the loop took long: nobody else was served meanwhile", attrs...)
}

func (t *turnTimes) stats() metrics.Histogram {
	s := metrics.Histogram{Counts: append([]uint64(nil), t.counts[:]...), Seconds: t.seconds}
	for _, b := range turnBounds {
		s.Bounds = append(s.Bounds, b.Seconds())
	}
	return s
}
