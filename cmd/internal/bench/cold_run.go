package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oneplusn/cmd/internal/host"
	"oneplusn/cmd/internal/load"
	"oneplusn/cmd/internal/peer"
	"oneplusn/cmd/internal/report"
)

// coldMeasurement is one run under one policy.
type coldMeasurement struct {
	*ColdOptions
	site      *Site
	server    *peer.Server
	cold, hot *load.Layout
	name      string
	segments  *host.SegmentSet
	counted   bool  // the kernel tells what is in the page cache
	warmBytes int64 // of the hot part are there after warming
}

func (m *coldMeasurement) run(ctx context.Context) (*report.ColdRun, error) {
	paths, err := host.SegmentFiles(m.site.Dir, siteTopic)
	if err != nil {
		return nil, err
	}
	if m.segments, err = host.OpenSegments(paths); err != nil {
		return nil, err
	}
	defer m.segments.Close()
	if got, want := m.segments.Bytes, m.cold.Bytes+m.hot.Bytes; got != want {
		return nil, fmt.Errorf("bench: the segments have %d bytes, %d were published", got, want)
	}
	if err := m.warm(ctx); err != nil {
		return nil, err
	}
	hot, err := m.connect(ctx, m.hot, m.HotReaders)
	if err != nil {
		return nil, err
	}
	defer hot.Close()
	cold, err := m.connect(ctx, m.cold, m.ColdReaders)
	if err != nil {
		return nil, err
	}
	defer cold.Close()
	alone, err := m.alone(ctx, hot)
	if err != nil {
		return nil, fmt.Errorf("a hot reader: %w", err)
	}
	r, err := m.together(ctx, hot, cold)
	if err != nil {
		return nil, err
	}
	r.Alone = alone
	return r, nil
}

func (m *coldMeasurement) connect(ctx context.Context, part *load.Layout, readers int) (*load.Set, error) {
	leader, err := leaderOf(m.server.Kafka, siteTopic)
	if err != nil {
		return nil, err
	}
	o := DrainOptions{FetchBytes: m.FetchBytes, Discard: m.Discard, Threads: m.Threads}
	return connect(ctx, o.drainSubscribers(leader, siteTopic, readers, part), m.site.progress)
}

// warm leaves the hot part in the page cache and nothing else. It is read from the files first, since what a server
// itself reads from a disk is cold to it; records that were published a moment ago need no disk. Then it is read twice
// through the server, one time after the other, as pages are hot to the kernel that are used again.
func (m *coldMeasurement) warm(ctx context.Context) error {
	m.site.progress.Step("%s: %d MiB are dropped from the page cache, %d MiB of them read again ...", m.name,
		m.segments.Bytes>>20, m.hot.Bytes>>20)
	if _, err := m.site.drop(); err != nil {
		return err
	}
	if err := m.segments.Read(m.cold.Bytes, m.segments.Bytes); err != nil {
		return err
	}
	for range 2 {
		set, err := m.connect(ctx, m.hot, 1)
		if err != nil {
			return err
		}
		_, err = drain(ctx, set, m.name+", warming", m.hot.Bytes, m.site.progress)
		set.Close()
		if err != nil {
			return err
		}
	}
	// Nothing of what has just been read is nowhere to be seen only where the file system hides it, as overlayfs does.
	now := m.segments.Cached(m.cold.Bytes, m.segments.Bytes)
	m.counted, m.warmBytes = now.Known && now.CachedBytes > 0, now.CachedBytes
	return nil
}

// alone lets the hot readers read without the cold ones.
func (m *coldMeasurement) alone(ctx context.Context, hot *load.Set) (*report.FetchTimes, error) {
	if m.Alone == 0 {
		return nil, nil
	}
	m.site.progress.Step("%s: %d hot readers alone for %v ...", m.name, m.HotReaders, m.Alone)
	until := make(chan struct{})
	timer := time.AfterFunc(m.Alone, func() { close(until) })
	defer timer.Stop()
	p, err := hot.Repeat(ctx, m.Every, until)
	if err != nil {
		return nil, err
	}
	return fetchTimes(p), nil
}

// together lets the hot readers read until the cold ones are done.
func (m *coldMeasurement) together(ctx context.Context, hot, cold *load.Set) (*report.ColdRun, error) {
	m.site.progress.Step("%s: beside cold readers of %d MiB, %d of them ...", m.name, m.cold.Bytes>>20, m.ColdReaders)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before, err := m.server.Stats(ctx)
	if err != nil {
		return nil, err
	}
	until, ended := make(chan struct{}), make(chan error, 1)
	var paced *load.Paced
	hotBefore := hot.Received()
	go func() {
		var err error
		if paced, err = hot.Repeat(ctx, m.Every, until); err != nil {
			cancel() // the cold readers need not go on
			err = fmt.Errorf("a hot reader: %w", err)
		}
		ended <- err
	}()
	watch := m.watch()
	d, coldErr := drain(ctx, cold, m.name, m.cold.Bytes*int64(m.ColdReaders), m.site.progress)
	hotBytes := hot.Received() - hotBefore
	after, statsErr := m.server.Stats(ctx)
	watched := watch()
	close(until)
	if coldErr != nil {
		cancel()
	}
	if err := firstCause(<-ended, coldErr, statsErr); err != nil {
		return nil, err
	}
	r := watched
	r.MemoryLimitBytes = m.MemoryBytes
	r.ColdPartBytes, r.HotPartBytes, r.HotReaders, r.ColdReaders = m.cold.Bytes, m.hot.Bytes, m.HotReaders, m.ColdReaders
	r.ColdBytes, r.HotBytes, r.Seconds, r.Hot = d.Bytes, hotBytes, d.Seconds, fetchTimes(paced)
	r.ServerCPUSeconds, r.ClientCPUSeconds = after.CPUSeconds()-before.CPUSeconds(), d.CPUSeconds
	r.ServerHeldBytes = after.ColdCache.HeldBytes
	r.ServerDroppedBytes = int64(after.ColdCache.DroppedBytes - before.ColdCache.DroppedBytes)
	r.ServerBusyBytes = int64(after.ColdCache.BusyBytes - before.ColdCache.BusyBytes)
	ledger := after.Copied(&before)
	r.DiskCounted, r.DiskBytes = ledger.DiskCounted && host.WhyReadsAreNotCounted(m.site.Dir) == "", int64(ledger.DiskToCacheBytes)
	return r, nil
}

// cacheSampling is the time between two looks at the page cache.
const cacheSampling = 100 * time.Millisecond

// watch samples what the page cache holds of both parts until the function that it returns is called, which looks once
// more and returns a run with what was seen.
func (m *coldMeasurement) watch() func() *report.ColdRun {
	r := &report.ColdRun{CacheCounted: m.counted, HotCachedWarm: m.warmBytes, HotCachedMin: m.hot.Bytes}
	look := func() {
		hot := m.segments.Cached(m.cold.Bytes, m.segments.Bytes).CachedBytes
		cold := m.segments.Cached(0, m.cold.Bytes).CachedBytes
		r.HotCachedMin, r.ColdCachedMax = min(r.HotCachedMin, hot), max(r.ColdCachedMax, cold)
		r.HotCachedAtEnd, r.ColdCachedAtEnd = hot, cold
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(cacheSampling)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				look()
				r.CacheSamples++
			}
		}
	}()
	return func() *report.ColdRun {
		close(done)
		<-ended
		look()
		return r
	}
}

func fetchTimes(p *load.Paced) *report.FetchTimes {
	at := func(quantile float64) float64 { return float64(p.Latency.ValueAtQuantile(quantile)) / 1000 }
	return &report.FetchTimes{Fetches: p.Fetches, Late: p.Late, P50Millis: at(50), P99Millis: at(99), P999Millis: at(99.9),
		MaxMillis: float64(p.Latency.Max()) / 1000}
}

// firstCause is the first error that is not of being cancelled because of another one.
func firstCause(errs ...error) (first error) {
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}
