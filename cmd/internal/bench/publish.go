package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"oneplusn/cmd/internal/load"
)

// PublishOptions are what [Site.Publish] measures.
type PublishOptions struct {
	Policies                []string // values of --fsync
	Producers               []int
	RecordBytes, BatchBytes int
	Duration                time.Duration // of each measurement
}

// PublishRun is one measurement of it.
type PublishRun struct {
	// What is the policy, or plain for a file without a server.
	What      string
	Producers int
	*load.Published
	// Syncs are the server's group commits; -1 where there is no server.
	Syncs int64
}

// Publish measures acknowledged batches under each fsync policy, beside plain pwrite and fdatasync of the same bytes on
// the same file system.
func (s *Site) Publish(ctx context.Context, o PublishOptions) (runs []*PublishRun, err error) {
	source, err := load.NewRecords(o.RecordBytes, o.BatchBytes, nil)
	if err != nil {
		return nil, err
	}
	s.progress.Show("plain pwrite and fdatasync for %v", o.Duration)
	plain, err := load.FsyncEach(ctx, s.Dir, source, o.Duration)
	if err != nil {
		return nil, err
	}
	runs = append(runs, &PublishRun{What: "plain", Producers: 1, Published: plain, Syncs: -1})
	for _, policy := range o.Policies {
		for _, n := range o.Producers {
			s.progress.Show("--fsync %s, %d producers for %v", policy, n, o.Duration)
			run, err := s.publishOne(ctx, o, policy, n)
			if err != nil {
				return nil, err
			}
			runs = append(runs, run)
		}
	}
	s.progress.Clear()
	return runs, nil
}

func (s *Site) publishOne(ctx context.Context, o PublishOptions, policy string, producers int) (run *PublishRun, err error) {
	dir := filepath.Join(s.Dir, fmt.Sprintf("publish-%d-%s", producers, policy))
	server, err := load.StartServer(ctx, dir, append([]string{"--fsync", policy}, s.flags...)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
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
	published, err := load.PublishFor(ctx, server.Kafka, topic, sources, o.Duration)
	if err != nil {
		return nil, err
	}
	stats, err := server.Stats(ctx)
	if err != nil {
		return nil, err
	}
	return &PublishRun{What: policy, Producers: producers, Published: published, Syncs: stats.Syncs}, nil
}
