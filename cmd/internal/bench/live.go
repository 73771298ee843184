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
	Modes       []string
	RingSizes   []int
	Subscribers []int
	Runs        int
	Threads     int
	// RecordBytes is the size of each record, published one by one, Rate of them a second, for Duration.
	RecordBytes int
	Rate        float64
	Duration    time.Duration
}

// Live measures servers that it starts itself.
func (s *Site) Live(ctx context.Context, o LiveOptions) ([]*report.BenchRun, error) {
	var runs []*report.BenchRun
	for run := range o.Runs {
		for _, n := range o.Subscribers {
			for _, mode := range o.Modes {
				for _, ringSize := range o.RingSizes {
					s.progress.Step("run %d of %d: %s, ring %s, %d subscribers that wait ...", run+1, o.Runs, mode, ringName(ringSize), n)
					err := s.withServer(ctx, mode, ringSize, func(server *peer.Server) error {
						r, err := liveServer(ctx, server, fmt.Sprintf("live-%s-%d-%d-%d", mode, ringSize, n, run), o, n, s.progress)
						runs = append(runs, r)
						return err
					})
					if err != nil {
						return nil, fmt.Errorf("%s with %d subscribers: %w", mode, n, err)
					}
				}
			}
		}
	}
	return runs, nil
}

// LiveTarget measures a server that runs already.
func LiveTarget(ctx context.Context, server *peer.Server, topic string, o LiveOptions,
	progress *report.Progress) ([]*report.BenchRun, error) {
	var runs []*report.BenchRun
	defer removeTopic(server.Kafka, topic, progress)
	for run := range o.Runs {
		for _, n := range o.Subscribers {
			progress.Step("run %d of %d: %s, %d subscribers that wait ...", run+1, o.Runs, server.Kafka, n)
			r, err := liveServer(ctx, server, topic, o, n, progress)
			if err != nil {
				return nil, err
			}
			if r.Server == "" {
				r.Server = server.Kafka
			}
			runs = append(runs, r)
		}
	}
	return runs, nil
}

// liveServer measures one live run.
func liveServer(ctx context.Context, server *peer.Server, topic string, o LiveOptions, n int,
	progress *report.Progress) (*report.BenchRun, error) {
	control, leader, err := openTopic(server.Kafka, topic)
	if err != nil {
		return nil, err
	}
	_, end, err := control.Offsets(topic)
	control.Close()
	if err != nil {
		return nil, err
	}
	options := load.DrainOptions{Address: leader, Topic: topic, Subscribers: n, FetchBytes: 1 << 20, MaxWait: liveMaxWait,
		StartOffset: end, Threads: o.Threads}
	set, err := connect(ctx, options, progress)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	progress.Begin()
	var before, after peer.Stats
	live, err := load.RunLive(ctx, set, load.LiveOptions{Drain: options, RecordBytes: o.RecordBytes, Rate: o.Rate, Duration: o.Duration,
		Waiting: func() (err error) { before, err = waitingAll(ctx, server, n); return err },
		Done:    func() (err error) { after, err = server.Stats(ctx); return err },
	}, func(published, deliveries int64) { progress.Show("published %d, delivered %d", published, deliveries) })
	progress.Clear()
	if err != nil {
		return nil, err
	}
	r := &report.BenchRun{Subscribers: n, Seconds: live.Seconds, ClientCPUSeconds: live.CPUSeconds,
		DeliveredBytes: live.Deliveries * int64(o.RecordBytes)}
	fillServer(r, before, after)
	h := live.Latency
	r.Live = &report.LiveRun{Rate: o.Rate, Published: live.Published, Deliveries: live.Deliveries, Late: live.Late,
		P50: h.ValueAtQuantile(50), P99: h.ValueAtQuantile(99), P999: h.ValueAtQuantile(99.9), Max: h.Max()}
	return r, nil
}

// waitingAll returns the server's counters once all subscribers wait there, so that neither their connecting nor their
// first fetch is measured. A server that does not count is given a moment.
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
			return stats, fmt.Errorf("bench: %d of %d subscribers wait at the server", stats.WaitingFetches, n)
		}
		select {
		case <-ctx.Done():
			return stats, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
