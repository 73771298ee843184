package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"oneplusn/cmd/internal/host"
	"oneplusn/cmd/internal/load"
	"oneplusn/cmd/internal/peer"
	"oneplusn/cmd/internal/report"
)

// DrainOptions say what [Site.Drain] measures.
type DrainOptions struct {
	Sweep
	Data DataSet
	// Reader says how a subscriber reads.
	Reader load.DrainOptions
}

// Drain publishes a data set once and lets every set of subscribers read all of it.
func (s *Site) Drain(ctx context.Context, o DrainOptions) ([]*report.BenchRun, error) {
	layout, err := s.publish(ctx, o.Data, s.configurations(&o.Sweep)[0].flags)
	if err != nil {
		return nil, err
	}
	return s.sweep(&o.Sweep, func(server *peer.Server, c configuration) (*report.BenchRun, error) {
		reader := o.Reader
		reader.Layout, reader.Subscribers = layout, c.subscribers
		if c.nginx {
			return s.drainNginx(ctx, o.Nginx, reader)
		}
		return s.drainServer(ctx, server, reader, c.slow)
	})
}

func (s *Site) drainServer(ctx context.Context, server *peer.Server, reader load.DrainOptions,
	slowOptions load.SlowOptions) (*report.BenchRun, error) {
	set, err := s.connect(ctx, server, reader)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	slow, err := set.StartSlow(ctx, slowOptions)
	if err != nil {
		return nil, err
	}
	defer slow.Close()
	d, used, err := s.drainCounted(ctx, server, set, fmt.Sprintf("%d subscribers", reader.Subscribers))
	if err != nil {
		return nil, err
	}
	r := drained(d, reader.Subscribers, used)
	if r.CopiesCounted {
		l := &used.Ledger
		r.CPUCopies = float64(l.CacheToUserBytes+l.UserToSocketBytes+l.CacheToSocketBytes) / float64(reader.Layout.Bytes)
		r.ByReference = float64(l.ByReferenceBytes) / float64(reader.Layout.Bytes)
	}
	if slowOptions.Any() {
		r.Slow = slowName(slowOptions)
		err = s.finishSlow(ctx, server, slow, r)
	}
	return r, err
}

// finishSlow lets the slow subscribers finish after the measurement, and reads the server's memory and pipes once more:
// slow subscribers must not make them grow.
func (s *Site) finishSlow(ctx context.Context, server *peer.Server, slow *load.Slow, r *report.BenchRun) error {
	err := slow.Finish(ctx, func(left time.Duration) {
		s.progress.Show("the stalled subscribers read nothing for another %v", left.Round(time.Second))
	})
	s.progress.Clear()
	if err != nil {
		return err
	}
	after, err := server.Stats(ctx)
	if err != nil || !after.Counted {
		return err
	}
	r.ServerRSSBytes, r.ServerRSSAnonBytes = int64(after.RSSBytes), int64(after.RSSAnonBytes)
	r.PipesLentMax = max(r.PipesLentMax, after.Pipes.LentMax)
	return nil
}

func drained(d *load.Drained, subscribers int, used peer.Stats) *report.BenchRun {
	r := benchRun(subscribers, used)
	r.DeliveredBytes, r.Seconds, r.ClientCPUSeconds = d.Bytes, d.Seconds, d.CPUSeconds
	r.SubscriberP50Millis, r.SubscriberP99Millis = 1000*d.Quantile(0.5), 1000*d.Quantile(0.99)
	return r
}

// drainNginx lets the same client read the same segment file from nginx.
func (s *Site) drainNginx(ctx context.Context, binary string, reader load.DrainOptions) (*report.BenchRun, error) {
	segments, err := host.OpenSegments(s.Dir, s.Topic)
	if err != nil {
		return nil, err
	}
	defer segments.Close()
	if n := len(segments.Files); n != 1 {
		return nil, fmt.Errorf("bench: the data set fills %d segments, nginx is compared with one: choose a --size below 1 GiB", n)
	}
	dir, file := filepath.Split(segments.Files[0].Name())
	server, err := peer.StartNginx(binary, dir)
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	before, err := server.Stats()
	if err != nil {
		return nil, err
	}
	reader.Address = server.Address
	d, err := load.DrainHTTP(ctx, reader, file)
	if err != nil {
		return nil, err
	}
	after, err := server.Stats()
	if err != nil {
		return nil, err
	}
	r := drained(d, reader.Subscribers, after.Since(before))
	r.Server = "nginx"
	return r, nil
}
