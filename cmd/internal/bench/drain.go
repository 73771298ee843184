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

// siteTopic is the topic of data sets on servers of a site.
const siteTopic = "bench"

// DrainOptions say what [Drain] measures.
type DrainOptions struct {
	Data DataSet
	// Modes, RingSizes and Subscribers are swept, in that order. A ring size of 0 is the server's default.
	Modes       []string
	RingSizes   []int
	Subscribers []int
	// Runs is how often each configuration is measured.
	Runs int
	// FetchBytes is the most that one fetch asks for.
	FetchBytes int
	// Discard throws payloads away in the kernel in place of checking them.
	Discard bool
	// Threads is the number of the client's threads.
	Threads int
	// Nginx is the nginx to compare with: a path, "auto", or empty for none.
	Nginx string
	// Slow are subscribers beside the measured ones that hardly read. With any, every configuration is measured without
	// and with them.
	Slow load.SlowOptions
}

// slowVariants are the sets of slow subscribers that each configuration is measured with.
func (o *DrainOptions) slowVariants() []load.SlowOptions {
	if o.Slow.Any() {
		return []load.SlowOptions{{}, o.Slow}
	}
	return []load.SlowOptions{{}}
}

// drainSubscribers are the options of one set of subscribers.
func (o *DrainOptions) drainSubscribers(address, topic string, n int, layout *load.Layout) load.DrainOptions {
	return load.DrainOptions{Address: address, Topic: topic, Subscribers: n, FetchBytes: o.FetchBytes,
		MaxWait: 500 * time.Millisecond, Discard: o.Discard, Layout: layout, Threads: o.Threads}
}

// Drain measures servers that it starts itself, every configuration Runs times.
func (s *Site) Drain(ctx context.Context, o DrainOptions) ([]*report.BenchRun, error) {
	var layout *load.Layout
	err := s.withServer(ctx, o.Modes[0], o.RingSizes[0], func(server *peer.Server) (err error) {
		layout, err = o.Data.publish(ctx, server.Kafka, siteTopic, s.progress)
		return err
	})
	if err != nil {
		return nil, err
	}
	var runs []*report.BenchRun
	for run := range o.Runs {
		for _, n := range o.Subscribers {
			s.progress.Step("run %d of %d, %d subscribers ...", run+1, o.Runs, n)
			of, err := s.drainAll(ctx, o, n, layout)
			if err != nil {
				return nil, err
			}
			runs = append(runs, of...)
		}
	}
	return runs, nil
}

// drainAll measures every configuration once.
func (s *Site) drainAll(ctx context.Context, o DrainOptions, n int, layout *load.Layout) (runs []*report.BenchRun, err error) {
	for _, mode := range o.Modes {
		for _, ringSize := range o.RingSizes {
			for _, slow := range o.slowVariants() {
				s.progress.Step("  %s, ring %s%s", mode, ringName(ringSize), slowName(slow))
				err := s.withServer(ctx, mode, ringSize, func(server *peer.Server) error {
					m := measurement{server, siteTopic, layout, n, slow, s.progress}
					r, err := m.drain(ctx, o)
					runs = append(runs, r)
					return err
				})
				if err != nil {
					return nil, fmt.Errorf("%s with %d subscribers: %w", mode, n, err)
				}
			}
		}
	}
	if o.Nginx != "" {
		s.progress.Step("  nginx")
		r, err := s.drainNginx(ctx, o, n, layout)
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// slowName says which slow subscribers take part, for progress and tables.
func slowName(o load.SlowOptions) string {
	text := ""
	if o.Stalled > 0 {
		text += fmt.Sprintf(" +%d stalled", o.Stalled)
	}
	if o.Trickling > 0 {
		text += fmt.Sprintf(" +%d trickling", o.Trickling)
	}
	return text
}

func ringName(size int) string {
	if size == 0 {
		return "default"
	}
	return fmt.Sprint(size)
}

// measurement is one drain of a server that runs.
type measurement struct {
	server      *peer.Server
	topic       string
	layout      *load.Layout
	subscribers int
	slow        load.SlowOptions
	progress    *report.Progress
}

func (m *measurement) drain(ctx context.Context, o DrainOptions) (*report.BenchRun, error) {
	leader, err := leaderOf(m.server.Kafka, m.topic)
	if err != nil {
		return nil, err
	}
	options := o.drainSubscribers(leader, m.topic, m.subscribers, m.layout)
	set, err := connect(ctx, options, m.progress)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	slow, err := load.StartSlow(ctx, options, m.slow)
	if err != nil {
		return nil, err
	}
	defer slow.Close()
	before, err := m.server.Stats(ctx)
	if err != nil {
		return nil, err
	}
	d, err := drain(ctx, set, fmt.Sprintf("%d subscribers", m.subscribers), m.layout.Bytes*int64(m.subscribers), m.progress)
	if err != nil {
		return nil, err
	}
	after, err := m.server.Stats(ctx)
	if err != nil {
		return nil, err
	}
	r := drained("", m.subscribers, d)
	fillServer(r, before, after)
	if r.CopiesCounted {
		l := after.Copied(&before)
		r.CPUCopies = float64(l.CacheToUserBytes+l.UserToSocketBytes+l.CacheToSocketBytes) / float64(m.layout.Bytes)
		r.ByReference = float64(l.ByReferenceBytes) / float64(m.layout.Bytes)
	}
	r.Slow = slowName(m.slow)
	return r, m.finishSlow(ctx, slow, r)
}

// finishSlow lets the slow subscribers do what they are there for after the others have been measured, and looks at the
// server's memory and pipes once more: neither may have grown meanwhile.
func (m *measurement) finishSlow(ctx context.Context, slow *load.Slow, r *report.BenchRun) error {
	if !m.slow.Any() {
		return nil
	}
	_, err := slow.Finish(ctx, func(left time.Duration) {
		m.progress.Show("the stalled subscribers read nothing for another %v", left.Round(time.Second))
	})
	m.progress.Clear()
	if err != nil {
		return err
	}
	after, err := m.server.Stats(ctx)
	if err != nil || !after.Counted {
		return err
	}
	r.ServerRSSBytes, r.ServerRSSAnonBytes = int64(after.RSSBytes), int64(after.RSSAnonBytes)
	r.PipesLentMax = max(r.PipesLentMax, after.Pipes.LentMax)
	return nil
}

// fillServer enters what the server's counters say of the time between two looks at them.
func fillServer(r *report.BenchRun, before, after peer.Stats) {
	r.ServerCPUSeconds = after.CPUSeconds() - before.CPUSeconds()
	r.CopiesCounted = after.Counted
	if !after.Counted {
		return
	}
	r.Server, r.RingSize = after.Transfer, after.RingSize
	r.QueuedWhenFull = int64(after.Ring.QueuedWhenFull - before.Ring.QueuedWhenFull)
	r.ServerRSSBytes, r.ServerRSSAnonBytes = int64(after.RSSBytes), int64(after.RSSAnonBytes)
	r.PipesLentMax, r.PipesLimit = after.Pipes.LentMax, after.Pipes.Max
}

func drained(server string, n int, d *load.Drained) *report.BenchRun {
	return &report.BenchRun{
		Server: server, Subscribers: n, DeliveredBytes: d.Bytes, Seconds: d.Seconds, ClientCPUSeconds: d.CPUSeconds,
		SubscriberP50Millis: 1000 * d.Quantile(0.5), SubscriberP99Millis: 1000 * d.Quantile(0.99),
	}
}

// drainNginx lets the same client get the same segment files from nginx, one after the other.
func (s *Site) drainNginx(ctx context.Context, o DrainOptions, n int, layout *load.Layout) (*report.BenchRun, error) {
	files, err := host.SegmentFiles(s.Dir, siteTopic)
	if err != nil {
		return nil, err
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("bench: the data set fills %d segments; nginx is compared with one: choose a --size below 1 GiB", len(files))
	}
	server, err := peer.StartNginx(o.Nginx, filepath.Dir(files[0]))
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	before, err := server.CPUSeconds()
	if err != nil {
		return nil, err
	}
	d, err := load.DrainHTTP(ctx, server.Address, filepath.Base(files[0]), layout.Bytes, n, o.Threads)
	if err != nil {
		return nil, err
	}
	after, err := server.CPUSeconds()
	if err != nil {
		return nil, err
	}
	r := drained("nginx", n, d)
	r.ServerCPUSeconds = after - before
	return r, nil
}

// DrainTarget measures a server that runs already, whatever it is. Its topic is removed afterwards.
func DrainTarget(ctx context.Context, server *peer.Server, topic string, o DrainOptions,
	progress *report.Progress) ([]*report.BenchRun, error) {
	layout, err := o.Data.publish(ctx, server.Kafka, topic, progress)
	if err != nil {
		return nil, err
	}
	defer removeTopic(server.Kafka, topic, progress)
	var runs []*report.BenchRun
	for run := range o.Runs {
		for _, n := range o.Subscribers {
			progress.Step("run %d of %d: %s, %d subscribers ...", run+1, o.Runs, server.Kafka, n)
			for _, slow := range o.slowVariants() {
				m := measurement{server, topic, layout, n, slow, progress}
				r, err := m.drain(ctx, o)
				if err != nil {
					return nil, err
				}
				if r.Server == "" {
					r.Server = server.Kafka
				}
				runs = append(runs, r)
			}
		}
	}
	return runs, nil
}

// removeTopic removes the topic that a scenario made on somebody else's server. That it could not is only said.
func removeTopic(address, topic string, progress *report.Progress) {
	control, err := load.Dial(address)
	if err == nil {
		err = control.DeleteTopic(topic)
		control.Close()
	}
	if err != nil {
		progress.Step("topic %s is left on %s: %v", topic, address, err)
	}
}
