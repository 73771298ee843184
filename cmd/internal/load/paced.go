package load

import (
	"context"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Paced is what subscribers at a pace did.
type Paced struct {
	Fetches int64
	// Latency is in nanoseconds, from a fetch to the last byte of its response.
	Latency *hdrhistogram.Histogram
	// Late counts fetches that were not sent when they were due, since the one before was not answered yet.
	Late int64
}

// pacer lets subscribers fetch at a pace, on one thread.
type pacer struct {
	every   time.Duration
	readers []*pacedReader
	flying  int // fetches that are not answered
	done    *Paced
}

type pacedReader struct {
	sub       *subscriber
	due, sent time.Time
	waiting   bool // for the answer
}

// Repeat lets every subscriber of the set read its layout over and over, with one fetch every so often, or when the last
// is answered if that takes longer. They begin evenly spread over the layout, so that all of it is read all the time.
// It ends when until is closed and the fetches under way are answered, one at least, or with ctx, which is an error. The
// set can be used again afterwards.
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

// spread spreads the subscribers over their layout and their first fetches over a period.
func (p *pacer) spread(subs []*subscriber) {
	now := time.Now()
	for i, sub := range subs {
		r := &pacedReader{sub: sub, due: now.Add(p.every * time.Duration(i) / time.Duration(len(subs)))}
		sub.moveTo(sub.options.Layout.Bytes * int64(i) / int64(len(subs)))
		sub.onAnswered = func() { p.answered(r) }
		p.readers = append(p.readers, r)
	}
}

// longestWait bounds a wait for sockets, so that the end of a context is seen.
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

// send sends the fetches that are due, and says how long none will be.
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

// answered takes note of a whole response, and of when the next fetch is due.
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

// moveTo lets a subscriber that has no fetch under way read on from behind so many bytes of its layout.
func (s *subscriber) moveTo(bytes int64) {
	s.offset, _ = s.options.Layout.after(bytes)
	s.check.next = s.offset
}
