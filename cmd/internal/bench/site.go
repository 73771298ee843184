package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"oneplusn/cmd/internal/host"
	"oneplusn/cmd/internal/load"
	"oneplusn/cmd/internal/peer"
	"oneplusn/cmd/internal/report"
)

// Place says which servers a scenario measures.
type Place struct {
	// Parent is where the temporary data directory is made. If it is empty, NewSite chooses a directory for temporary files
	// on a disk: reads from a file system in memory can be neither made cold nor counted.
	Parent string
	// Flags are given to every server that the scenario starts.
	Flags []string
	// Target is a server that runs already, nil to start servers. Topic is made there and removed afterwards.
	Target *peer.Server
	Topic  string
}

// Site is where a scenario takes place: one server at a time on a temporary directory, or a server that runs already.
type Site struct {
	Place
	// Dir is the data directory, removed by Close; empty for a server that runs already.
	Dir string

	made     bool // the topic
	progress *report.Progress
}

// NewSite makes the temporary directory. The caller closes the site.
func NewSite(p Place, progress *report.Progress) (*Site, error) {
	s := &Site{Place: p, progress: progress}
	if p.Target != nil {
		return s, nil
	}
	var err error
	if s.Dir, err = os.MkdirTemp(cmp.Or(p.Parent, temporaryParent()), "oneplusn-bench-"); err != nil {
		return nil, fmt.Errorf("bench: making a temporary directory: %w: choose another place with --dir", err)
	}
	s.Topic = "bench"
	return s, nil
}

func temporaryParent() string {
	for _, dir := range []string{os.TempDir(), "/var/tmp", "."} {
		if !host.OnMemory(dir) {
			return dir
		}
	}
	return ""
}

// Close removes the directory, or the topic from a server that runs already. If the topic stays, it only says so.
func (s *Site) Close() error {
	if s.Target == nil {
		return os.RemoveAll(s.Dir)
	}
	if !s.made {
		return nil
	}
	control, err := load.Dial(s.Target.Kafka)
	if err == nil {
		err = control.DeleteTopic(s.Topic)
		control.Close()
	}
	if err != nil {
		s.progress.Step("topic %s stays on %s: %v", s.Topic, s.Target.Kafka, err)
	}
	return nil
}

// withServer starts a server on the site's directory, runs f, and stops the server. The user's flags come last, and win. A
// server that runs already keeps its own flags.
func (s *Site) withServer(flags []string, f func(*peer.Server) error) error {
	if s.Target != nil {
		return f(s.Target)
	}
	server, err := peer.StartServer(s.Dir, slices.Concat(flags, s.Flags)...)
	if err != nil {
		return err
	}
	err = f(server)
	return errors.Join(err, server.Stop())
}

// DataSet describes the records that a scenario publishes.
type DataSet struct {
	// Bytes is the size to reach, 0 for all of File.
	Bytes int64
	// RecordBytes is the size of each record, BatchBytes that of the batches they go in.
	RecordBytes, BatchBytes int
	// File provides the records' content; empty for reproducible noise.
	File string
}

// publish starts a server and publishes the data set to the site's topic.
func (s *Site) publish(ctx context.Context, d DataSet, flags []string) (layout *load.Layout, err error) {
	var content io.Reader
	if d.File != "" {
		f, err := os.Open(d.File)
		if err != nil {
			return nil, fmt.Errorf("bench: --file: %w", err)
		}
		defer func() { _ = f.Close() }()
		content = f
	}
	records, err := load.NewRecords(d.RecordBytes, d.BatchBytes, content)
	if err != nil {
		return nil, err
	}
	err = s.withServer(flags, func(server *peer.Server) error {
		control, err := s.makeTopic(server)
		if err != nil {
			return err
		}
		defer control.Close()
		s.progress.Step("publishing %s to %s ...", d, server.Kafka)
		layout, err = control.Publish(ctx, s.Topic, records, d.Bytes, func(done int64) { s.progress.Show("published %d MiB", done>>20) })
		s.progress.Clear()
		return err
	})
	return layout, err
}

// String describes the data set for progress.
func (d DataSet) String() string {
	if d.File != "" {
		return "the content of " + d.File
	}
	return fmt.Sprintf("%d MiB in records of %d bytes", d.Bytes>>20, d.RecordBytes)
}

// makeTopic makes the site's topic and connects to its leader.
func (s *Site) makeTopic(server *peer.Server) (*load.Control, error) {
	control, err := load.Dial(server.Kafka)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	if err := control.CreateTopic(s.Topic); err != nil {
		return nil, err
	}
	s.made = true
	leader, err := control.Leader(s.Topic)
	if err != nil {
		return nil, err
	}
	return load.Dial(leader)
}

// drainMaxWait is how long a fetch waits at the end of the log by default.
const drainMaxWait = 500 * time.Millisecond

// connect connects subscribers to the leader of the site's topic.
func (s *Site) connect(ctx context.Context, server *peer.Server, o load.DrainOptions) (*load.Set, error) {
	control, err := load.Dial(server.Kafka)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	if o.Address, err = control.Leader(s.Topic); err != nil {
		return nil, err
	}
	o.Topic, o.MaxWait = s.Topic, cmp.Or(o.MaxWait, drainMaxWait)
	set, err := load.Connect(ctx, o, func(n int) { s.progress.Show("connected %d of %d subscribers", n, o.Subscribers) })
	s.progress.Clear()
	return set, err
}

// drain lets the subscribers read everything.
func (s *Site) drain(ctx context.Context, set *load.Set, what string) (*load.Drained, error) {
	s.progress.Begin()
	total := set.ExpectedBytes()
	stop := every(250*time.Millisecond, func() {
		got := set.Received()
		s.progress.Show("%s: %d of %d MiB delivered (%d %%)", what, got>>20, total>>20, 100*got/max(total, 1))
	})
	d, err := set.Drain(ctx)
	stop()
	s.progress.Clear()
	return d, err
}

// drainCounted also returns the server's counters for the time of the drain.
func (s *Site) drainCounted(ctx context.Context, server *peer.Server, set *load.Set, what string) (*load.Drained, peer.Stats, error) {
	before, err := server.Stats(ctx)
	if err != nil {
		return nil, before, err
	}
	d, err := s.drain(ctx, set, what)
	if err != nil {
		return nil, before, err
	}
	after, err := server.Stats(ctx)
	return d, after.Since(before), err
}

// every calls f at each tick until stop is called, which waits for a call under way.
func every(interval time.Duration, f func()) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				f()
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// latencies are the quantiles of a histogram in nanoseconds.
func latencies(h *hdrhistogram.Histogram) report.Latencies {
	millis := func(nanos int64) float64 { return float64(nanos) / float64(time.Millisecond) }
	at := func(quantile float64) float64 { return millis(h.ValueAtQuantile(quantile)) }
	return report.Latencies{P50Millis: at(50), P99Millis: at(99), P999Millis: at(99.9), MaxMillis: millis(h.Max())}
}
