package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// SlowOptions say which slow subscribers there are beside the measured ones.
type SlowOptions struct {
	// Stalled subscribers send a fetch and then read nothing for Stall; after that they read and check everything.
	Stalled int
	Stall   time.Duration
	// Trickling subscribers read one byte a second until the end.
	Trickling int
}

func (o SlowOptions) Any() bool { return o.Stalled+o.Trickling > 0 }

// Slow are connected subscribers that have sent a fetch and hardly read the response.
type Slow struct {
	options   SlowOptions
	stalled   *Set
	trickling *Set
	started   time.Time
	stop      context.CancelFunc
	ended     sync.WaitGroup
	trickled  int64
}

// StartSlow connects slow subscribers of the same topic and sends their fetches.
func (set *Set) StartSlow(ctx context.Context, o SlowOptions) (*Slow, error) {
	s := &Slow{options: o, started: time.Now()}
	drain := set.options
	drain.Discard = false
	var err error
	drain.Subscribers = o.Stalled
	if s.stalled, err = connectSlow(ctx, drain); err != nil {
		return nil, err
	}
	drain.Subscribers = o.Trickling
	if s.trickling, err = connectSlow(ctx, drain); err != nil {
		s.stalled.Close()
		return nil, err
	}
	ctx, s.stop = context.WithCancel(ctx)
	s.ended.Go(func() { s.trickle(ctx) })
	return s, nil
}

func connectSlow(ctx context.Context, drain DrainOptions) (*Set, error) {
	set, err := Connect(ctx, drain, nil)
	if err != nil {
		return nil, err
	}
	for _, sub := range set.subs {
		sub.started = time.Now()
		if err := sub.fetch(); err != nil {
			set.Close()
			return nil, err
		}
	}
	return set, nil
}

// trickle reads a byte a second from each trickling subscriber.
func (s *Slow) trickle(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var b [1]byte
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, sub := range s.trickling.subs {
			if n, err := sub.receive(b[:], 0); err == nil {
				s.trickled += int64(n)
			}
		}
	}
}

// Finish waits until the stalled subscribers have stalled long enough, calling waiting with the time left, and then lets
// them read everything.
func (s *Slow) Finish(ctx context.Context, waiting func(left time.Duration)) error {
	for {
		left := s.options.Stall - time.Since(s.started)
		if left <= 0 {
			break
		}
		waiting(left)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(left, 250*time.Millisecond)):
		}
	}
	if s.options.Stalled > 0 {
		if err := s.stalled.run(ctx, nil); err != nil {
			return fmt.Errorf("a stalled subscriber that reads on: %w", err)
		}
	}
	s.stop()
	s.ended.Wait()
	if s.options.Trickling > 0 && s.options.Stall >= 2*time.Second && s.trickled == 0 {
		return errors.New("load: the trickling subscribers received nothing")
	}
	return nil
}

// Close disconnects all of them.
func (s *Slow) Close() {
	s.stop()
	s.ended.Wait()
	s.stalled.Close()
	s.trickling.Close()
}
