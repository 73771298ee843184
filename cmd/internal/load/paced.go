package load

import (
	"context"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Paced has the figures of fetches at a pace.
type Paced struct {
	Fetches int64
	// Latency is in nanoseconds, from a fetch to the last byte of its response.
	Latency *hdrhistogram.Histogram
	// Late counts fetches that were sent too late, because the response to the last one was still missing.
	Late int64
}

// pacer lets subscribers fetch at a pace, on one thread.
type pacer struct {
	every   time.Duration
	readers []*pacedReader
	flying  int // fetches without a response yet
	done    *Paced
}

type pacedReader struct {
	sub       *subscriber
	due, sent time.Time
	waiting   bool // for a response
}

// Repeat lets every subscriber of the set read its layout over and over. A subscriber sends one fetch in each period, or
// later if the last response takes longer. The subscribers start evenly spread over the layout, so that they read all of
// it all the time. Repeat ends when until is closed and the responses in flight have arrived, at least one; the end of ctx
// is an error. The set can be used again afterwards.
func (s *Set) Repeat(ctx context.Context, every time.Duration, until <-chan struct{}) (*Paced, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	poller, err := newPoller(s.subs, &s.total)
	if err != nil {
		return nil, err
	}
	defer poller.close()
	p := &pacer{every: every, done: &Paced{Latency: newLatency()}}
	p.spread(s.subs)
	return p.done, p.run(ctx, until, poller)
}

// spread spreads the subscribers over their layout, and their first fetches over a period.
func (p *pacer) spread(subs []*subscriber) {
	now := time.Now()
	for i, sub := range subs {
		r := &pacedReader{sub: sub, due: now.Add(p.every * time.Duration(i) / time.Duration(len(subs)))}
		sub.moveTo(sub.options.Layout.Bytes * int64(i) / int64(len(subs)))
		sub.onAnswered = func() { p.answered(r) }
		p.readers = append(p.readers, r)
	}
}

// longestWait bounds a wait for sockets, so that the end of a context is noticed.
const longestWait = 50 * time.Millisecond

func (p *pacer) run(ctx context.Context, until <-chan struct{}, poller *poller) (err error) {
	for ending := false; !ending || p.flying > 0; {
		wait := longestWait
		if !ending {
			if wait, err = p.send(time.Now()); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-until:
			ending = true
		default:
		}
		if _, err := poller.wait(wait); err != nil {
			return err
		}
	}
	return nil
}

// send sends the fetches that are due, and returns the time until the next one is.
func (p *pacer) send(now time.Time) (wait time.Duration, err error) {
	wait = longestWait
	for _, r := range p.readers {
		if r.waiting {
			continue
		}
		if left := r.due.Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		r.waiting, r.sent = true, time.Now()
		p.flying++
		if err := r.sub.fetch(); err != nil {
			return 0, err
		}
	}
	return wait, nil
}

// answered records a whole response, and when the next fetch is due.
func (p *pacer) answered(r *pacedReader) {
	now := time.Now()
	recordLatency(p.done.Latency, now.Sub(r.sent))
	p.done.Fetches++
	p.flying--
	r.waiting = false
	if r.due = r.due.Add(p.every); r.due.Before(now) {
		p.done.Late++
		r.due = now
	}
	if r.sub.offset >= r.sub.options.Layout.End {
		r.sub.moveTo(0)
	}
}

// moveTo moves a subscriber without a fetch in flight to the batch after so many bytes of its layout.
func (s *subscriber) moveTo(bytes int64) {
	s.offset, _ = s.options.Layout.after(bytes)
	s.check.next = s.offset
}
