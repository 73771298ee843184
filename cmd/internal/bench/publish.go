package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"oneplusn/cmd/internal/load"
	"oneplusn/cmd/internal/peer"
	"oneplusn/cmd/internal/report"
)

// PublishOptions are what [Site.Publish] measures.
type PublishOptions struct {
	Policies                []string // values of --fsync
	Producers               []int
	RecordBytes, BatchBytes int
	Duration                time.Duration // of each measurement
	// Runs is how often everything is measured.
	Runs int
}

// Publish measures acknowledged batches under each fsync policy, beside plain pwrite and fdatasync of the same bytes on
// the same file system. The plain ones belong to every turn, for a disk is not as fast at all times.
func (s *Site) Publish(ctx context.Context, o PublishOptions) (runs []*report.PublishRun, err error) {
	for run := range o.Runs {
		turn := fmt.Sprintf("run %d of %d", run+1, o.Runs)
		s.progress.Step("%s: plain pwrite and fdatasync for %v ...", turn, o.Duration)
		r, err := s.publishPlain(ctx, o)
		if err != nil {
			return nil, err
		}
		r.Run = run + 1
		runs = append(runs, r)
		for _, policy := range o.Policies {
			for _, n := range o.Producers {
				s.progress.Step("%s: --fsync %s, producers %d, for %v ...", turn, policy, n, o.Duration)
				r, err := s.publishOne(ctx, o, policy, n)
				if err != nil {
					return nil, fmt.Errorf("--fsync %s with %d producers: %w", policy, n, err)
				}
				r.Run = run + 1
				runs = append(runs, r)
			}
		}
	}
	return runs, nil
}

func (s *Site) publishPlain(ctx context.Context, o PublishOptions) (*report.PublishRun, error) {
	source, err := load.NewRecords(o.RecordBytes, o.BatchBytes, nil)
	if err != nil {
		return nil, err
	}
	p, err := load.FsyncEach(ctx, s.Dir, source, o.Duration)
	if err != nil {
		return nil, err
	}
	return published(report.PlainWrites, 1, p), nil
}

func (s *Site) publishOne(ctx context.Context, o PublishOptions, policy string, producers int) (run *report.PublishRun, err error) {
	dir := filepath.Join(s.Dir, "publish")
	server, err := peer.StartServer(ctx, dir, append([]string{"--fsync", policy}, s.flags...)...)
	if err != nil {
		return nil, err
	}
	// What the kernel has not written by then need not be: it would disturb the next measurement.
	defer func() { err = errors.Join(err, server.Stop(), os.RemoveAll(dir)) }()
	const topic = "publish"
	control, _, err := openTopic(server.Kafka, topic)
	if err != nil {
		return nil, err
	}
	control.Close()
	sources := make([]*load.Records, producers)
	for i := range sources {
		if sources[i], err = load.NewRecords(o.RecordBytes, o.BatchBytes, nil); err != nil {
			return nil, err
		}
	}
	p, err := load.PublishFor(ctx, server.Kafka, topic, sources, o.Duration)
	if err != nil {
		return nil, err
	}
	stats, err := server.Stats(ctx)
	if err != nil {
		return nil, err
	}
	run = published(policy, producers, p)
	if stats.Counted {
		syncs := int64(stats.Syncs)
		run.Syncs = &syncs
	}
	return run, nil
}

func published(policy string, producers int, p *load.Published) *report.PublishRun {
	millis := func(nanos int64) float64 { return float64(nanos) / float64(time.Millisecond) }
	at := func(quantile float64) float64 { return millis(p.Latency.ValueAtQuantile(quantile)) }
	return &report.PublishRun{Fsync: policy, Producers: producers, Batches: p.Batches, Bytes: p.Bytes, Seconds: p.Seconds,
		P50Millis: at(50), P99Millis: at(99), P999Millis: at(99.9), MaxMillis: millis(p.Latency.Max())}
}
