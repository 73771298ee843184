package bench

import (
	"context"
	"fmt"
	"time"

	"oneplusn/cmd/internal/load"
	"oneplusn/cmd/internal/peer"
	"oneplusn/cmd/internal/report"
)

// liveMaxWait is how long a subscriber's fetch waits for the next record.
const liveMaxWait = 5 * time.Second

// LiveOptions say what [Site.Live] measures.
type LiveOptions struct {
	Sweep
	Threads int
	// RecordBytes is the size of each record. They are published one by one, Rate of them a second, for Duration.
	RecordBytes int
	Rate        float64
	Duration    time.Duration
}

// Live publishes records to subscribers that wait.
func (s *Site) Live(ctx context.Context, o LiveOptions) ([]*report.BenchRun, error) {
	return s.sweep(&o.Sweep, func(server *peer.Server, c configuration) (*report.BenchRun, error) {
		return s.liveServer(ctx, server, &o, c.subscribers)
	})
}

func (s *Site) liveServer(ctx context.Context, server *peer.Server, o *LiveOptions, n int) (*report.BenchRun, error) {
	control, err := s.makeTopic(server)
	if err != nil {
		return nil, err
	}
	_, end, err := control.Offsets(s.Topic)
	control.Close()
	if err != nil {
		return nil, err
	}
	set, err := s.connect(ctx, server, load.DrainOptions{Subscribers: n, FetchBytes: 1 << 20, MaxWait: liveMaxWait,
		StartOffset: end, Threads: o.Threads})
	if err != nil {
		return nil, err
	}
	defer set.Close()
	s.progress.Begin()
	var before, after peer.Stats
	live, err := load.RunLive(ctx, set, load.LiveOptions{RecordBytes: o.RecordBytes, Rate: o.Rate, Duration: o.Duration,
		Waiting: func() (err error) { before, err = waitingAll(ctx, server, n); return err },
		Done:    func() (err error) { after, err = server.Stats(ctx); return err },
	}, func(published, deliveries int64) {
		s.progress.Show("published %d, delivered %d", published, deliveries)
	})
	s.progress.Clear()
	if err != nil {
		return nil, err
	}
	r := benchRun(n, after.Since(before))
	r.Seconds, r.ClientCPUSeconds, r.DeliveredBytes = live.Seconds, live.CPUSeconds, live.Deliveries*int64(o.RecordBytes)
	micros := func(nanos int64) int64 { return nanos / 1000 }
	h := live.Latency
	r.Live = &report.LiveRun{Rate: o.Rate, Published: live.Published, Deliveries: live.Deliveries, Late: live.Late,
		P50: micros(h.ValueAtQuantile(50)), P99: micros(h.ValueAtQuantile(99)), P999: micros(h.ValueAtQuantile(99.9)), Max: micros(h.Max())}
	return r, nil
}

// waitingAll returns the server's counters once all subscribers wait there, to exclude connecting and the first fetch from
// the measurement. A server without counters gets 2 s.
func waitingAll(ctx context.Context, server *peer.Server, n int) (peer.Stats, error) {
	for deadline := time.Now().Add(30 * time.Second); ; {
		stats, err := server.Stats(ctx)
		if err != nil {
			return stats, err
		}
		if stats.Counted && stats.WaitingFetches >= n || !stats.Counted && time.Until(deadline) < 28*time.Second {
			return stats, nil
		}
		if time.Now().After(deadline) {
			return stats, fmt.Errorf("bench: only %d of %d subscribers wait at the server after 30 s", stats.WaitingFetches, n)
		}
		select {
		case <-ctx.Done():
			return stats, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
