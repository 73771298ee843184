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

// PublishOptions say what [Site.Publish] measures.
type PublishOptions struct {
	Policies                []string // values of --fsync
	Producers               []int
	RecordBytes, BatchBytes int
	Duration                time.Duration // of each measurement
	// Runs is how often everything is measured.
	Runs int
}

// Publish measures acknowledged batches under each fsync policy, beside plain pwrite and fdatasync of the same bytes on
// the same file system. Every run has plain writes of its own: a disk is not equally fast at all times.
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

// publishOne measures on a directory of its own, and removes it: the write-back of its dirty pages would disturb the next
// measurement.
func (s *Site) publishOne(ctx context.Context, o PublishOptions, policy string, producers int) (run *report.PublishRun, err error) {
	sources := make([]*load.Records, producers)
	for i := range sources {
		if sources[i], err = load.NewRecords(o.RecordBytes, o.BatchBytes, nil); err != nil {
			return nil, err
		}
	}
	own := *s
	own.Dir = filepath.Join(s.Dir, "publish")
	err = own.withServer([]string{"--fsync", policy}, func(server *peer.Server) error {
		control, err := own.makeTopic(server)
		if err != nil {
			return err
		}
		control.Close()
		p, err := load.PublishFor(ctx, server.Kafka, own.Topic, sources, o.Duration)
		if err != nil {
			return err
		}
		stats, err := server.Stats(ctx)
		run = published(policy, producers, p)
		if syncs := int64(stats.Syncs); stats.Counted {
			run.Syncs = &syncs
		}
		return err
	})
	return run, errors.Join(err, os.RemoveAll(own.Dir))
}

func published(policy string, producers int, p *load.Published) *report.PublishRun {
	return &report.PublishRun{Fsync: policy, Producers: producers, Batches: p.Batches, Bytes: p.Bytes, Seconds: p.Seconds,
		Latencies: latencies(p.Latency)}
}
