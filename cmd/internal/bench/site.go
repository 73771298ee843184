package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"oneplusn/cmd/internal/host"
	"oneplusn/cmd/internal/load"
	"oneplusn/cmd/internal/peer"
	"oneplusn/cmd/internal/report"
)

// Site is where a scenario takes place: a temporary directory with a data set, and one server at a time on it.
type Site struct {
	// Dir is the data directory, removed by Close.
	Dir string

	flags    []string
	progress *report.Progress
}

// NewSite makes a temporary directory. parent may be empty: then it is the system's place for temporary files, or one
// that is on a disk if that is in memory, since what is in memory can be neither dropped nor counted.
func NewSite(parent string, flags []string, progress *report.Progress) (*Site, error) {
	dir, err := os.MkdirTemp(temporaryParent(parent), "oneplusn-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: making a temporary directory: %w: choose another place with --dir", err)
	}
	return &Site{Dir: dir, flags: flags, progress: progress}, nil
}

func temporaryParent(parent string) string {
	if parent != "" {
		return parent
	}
	for _, dir := range []string{os.TempDir(), "/var/tmp", "."} {
		if !host.OnMemory(dir) {
			return dir
		}
	}
	return ""
}

// Close removes the directory.
func (s *Site) Close() error { return os.RemoveAll(s.Dir) }

// withServer starts a server of a mode on the site's directory, runs f, and stops the server. ringSize 0 is the
// server's default.
func (s *Site) withServer(ctx context.Context, mode string, ringSize int, f func(*peer.Server) error) error {
	flags := append([]string{"--transfer", mode}, s.flags...)
	if ringSize > 0 {
		flags = append(flags, "--ring-size", strconv.Itoa(ringSize))
	}
	return s.withFlags(ctx, flags, f)
}

// withFlags is withServer with the flags of the command line.
func (s *Site) withFlags(ctx context.Context, flags []string, f func(*peer.Server) error) error {
	server, err := peer.StartServer(ctx, s.Dir, flags...)
	if err != nil {
		return err
	}
	err = f(server)
	return errors.Join(err, server.Stop())
}

// DataSet is what is published.
type DataSet struct {
	// Bytes is the size to reach, 0 for all of File.
	Bytes int64
	// RecordBytes is the size of each record, BatchBytes that of the batches they go in.
	RecordBytes, BatchBytes int
	// File is where the records' content comes from; empty for reproducible noise.
	File string
}

// publish publishes the data set to a topic that it makes.
func (d DataSet) publish(ctx context.Context, address, topic string, progress *report.Progress) (*load.Layout, error) {
	records, closeSource, err := d.records()
	if err != nil {
		return nil, err
	}
	defer closeSource()
	control, leader, err := openTopic(address, topic)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	progress.Step("publishing %s to %s ...", d, leader)
	layout, err := control.Publish(ctx, topic, records, d.Bytes, func(done int64) { progress.Show("published %d MiB", done>>20) })
	progress.Clear()
	return layout, err
}

func (d DataSet) records() (*load.Records, func(), error) {
	if d.File == "" {
		r, err := load.NewRecords(d.RecordBytes, d.BatchBytes, nil)
		return r, func() {}, err
	}
	f, err := os.Open(d.File)
	if err != nil {
		return nil, nil, fmt.Errorf("bench: --file: %w", err)
	}
	r, err := load.NewRecords(d.RecordBytes, d.BatchBytes, f)
	if err != nil {
		_ = f.Close()
	}
	return r, func() { _ = f.Close() }, err
}

// String says what is published, for progress and tables.
func (d DataSet) String() string {
	if d.File != "" {
		return "the content of " + d.File
	}
	return fmt.Sprintf("%d MiB in records of %d bytes", d.Bytes>>20, d.RecordBytes)
}

// openTopic makes a topic and connects to its leader.
func openTopic(address, topic string) (control *load.Control, leader string, err error) {
	first, err := load.Dial(address)
	if err != nil {
		return nil, "", err
	}
	err = first.CreateTopic(topic)
	first.Close()
	if err != nil {
		return nil, "", err
	}
	if leader, err = leaderOf(address, topic); err != nil {
		return nil, "", err
	}
	control, err = load.Dial(leader)
	return control, leader, err
}

// leaderOf asks a broker who leads the topic's partition 0.
func leaderOf(address, topic string) (string, error) {
	control, err := load.Dial(address)
	if err != nil {
		return "", err
	}
	defer control.Close()
	return control.Leader(topic)
}

// connect connects the subscribers, with progress.
func connect(ctx context.Context, o load.DrainOptions, progress *report.Progress) (*load.Set, error) {
	set, err := load.Connect(ctx, o, func(n int) { progress.Show("connected %d of %d subscribers", n, o.Subscribers) })
	progress.Clear()
	return set, err
}

// drain lets the subscribers read everything, with progress.
func drain(ctx context.Context, set *load.Set, what string, total int64, progress *report.Progress) (*load.Drained, error) {
	progress.Begin()
	done := make(chan struct{})
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				got := set.Received()
				progress.Show("%s: %d of %d MiB delivered (%d %%)", what, got>>20, total>>20, 100*got/max(total, 1))
			}
		}
	}()
	d, err := set.Drain(ctx)
	close(done)
	<-shown
	progress.Clear()
	return d, err
}
