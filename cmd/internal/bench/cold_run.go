package bench

import (
	"context"
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
	segments  *host.Segments
	counted   bool  // the kernel reports what the page cache holds
	warmBytes int64 // of the hot part are cached after warming
}

func (m *coldMeasurement) run(ctx context.Context) (r *report.ColdRun, err error) {
	if m.segments, err = host.OpenSegments(m.site.Dir, m.site.Topic); err != nil {
		return nil, err
	}
	defer m.segments.Close()
	if got, want := m.segments.Bytes, m.cold.Bytes+m.hot.Bytes; got != want {
		return nil, fmt.Errorf("bench: the segments have %d bytes, %d bytes were published", got, want)
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
	r, err = m.together(ctx, hot, cold)
	if err != nil {
		return nil, err
	}
	r.Alone = alone
	return r, nil
}

func (m *coldMeasurement) connect(ctx context.Context, part *load.Layout, readers int) (*load.Set, error) {
	reader := m.Reader
	reader.Layout, reader.Subscribers = part, readers
	return m.site.connect(ctx, m.server, reader)
}

// warm leaves the hot part in the page cache and nothing else. It reads the hot part from the files first: what the
// server itself reads from a disk is cold to the server, and recently published records need no disk. Then it reads it
// through the server twice, one time after the other: a page that is used again is hot to the kernel.
func (m *coldMeasurement) warm(ctx context.Context) error {
	m.site.progress.Step("%s: dropping %d MiB from the page cache, and reading %d MiB of them again ...", m.name,
		m.segments.Bytes>>20, m.hot.Bytes>>20)
	if _, err := m.segments.Drop(); err != nil {
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
		_, err = m.site.drain(ctx, set, m.name+", warming")
		set.Close()
		if err != nil {
			return err
		}
	}
	// The bytes just read are cached. A file system that reports none of them hides its cache, as overlayfs does.
	cached, known := m.segments.Cached(m.cold.Bytes, m.segments.Bytes)
	m.counted, m.warmBytes = known && cached > 0, cached
	return nil
}

// alone lets the hot readers read without the cold ones.
func (m *coldMeasurement) alone(ctx context.Context, hot *load.Set) (*report.FetchTimes, error) {
	if m.Alone == 0 {
		return nil, nil
	}
	m.site.progress.Step("%s: %d hot readers alone for %v ...", m.name, m.HotReaders, m.Alone)
	timer, stop := context.WithTimeout(ctx, m.Alone)
	defer stop()
	p, err := hot.Repeat(ctx, m.Every, timer.Done())
	if err != nil {
		return nil, err
	}
	return fetchTimes(p), nil
}

// together lets the hot readers read until the cold ones are done.
func (m *coldMeasurement) together(ctx context.Context, hot, cold *load.Set) (*report.ColdRun, error) {
	m.site.progress.Step("%s: beside cold readers of %d MiB, %d of them ...", m.name, m.cold.Bytes>>20, m.ColdReaders)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	until, ended := make(chan struct{}), make(chan struct{})
	var paced *load.Paced
	hotBefore := hot.Received()
	go func() {
		defer close(ended)
		var err error
		if paced, err = hot.Repeat(ctx, m.Every, until); err != nil {
			fail(fmt.Errorf("a hot reader: %w", err))
		}
	}()
	watched := m.watch()
	d, used, err := m.site.drainCounted(ctx, m.server, cold, m.name)
	hotBytes := hot.Received() - hotBefore
	r := watched()
	if err != nil {
		fail(err)
	}
	close(until)
	<-ended
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	r.MemoryLimitBytes = m.MemoryBytes
	r.ColdPartBytes, r.HotPartBytes, r.HotReaders, r.ColdReaders = m.cold.Bytes, m.hot.Bytes, m.HotReaders, m.ColdReaders
	r.ColdBytes, r.HotBytes, r.Seconds, r.Hot = d.Bytes, hotBytes, d.Seconds, fetchTimes(paced)
	r.ServerCPUSeconds, r.ClientCPUSeconds = used.CPUSeconds(), d.CPUSeconds
	r.ServerHeldBytes = used.ColdCache.HeldBytes
	r.ServerDroppedBytes, r.ServerBusyBytes = int64(used.ColdCache.DroppedBytes), int64(used.ColdCache.BusyBytes)
	r.DiskCounted = used.Ledger.DiskCounted && host.WhyReadsAreNotCounted(m.site.Dir) == ""
	r.DiskBytes = int64(used.Ledger.DiskToCacheBytes)
	return r, nil
}

// cacheSampling is the time between two samples of the page cache.
const cacheSampling = 100 * time.Millisecond

// watch samples what the page cache holds of both parts until the returned function is called. That samples once more
// and returns a run with what was seen.
func (m *coldMeasurement) watch() func() *report.ColdRun {
	r := &report.ColdRun{CacheCounted: m.counted, HotCachedWarm: m.warmBytes, HotCachedMin: m.hot.Bytes}
	sample := func() {
		r.HotCachedAtEnd, _ = m.segments.Cached(m.cold.Bytes, m.segments.Bytes)
		r.ColdCachedAtEnd, _ = m.segments.Cached(0, m.cold.Bytes)
		r.HotCachedMin, r.ColdCachedMax = min(r.HotCachedMin, r.HotCachedAtEnd), max(r.ColdCachedMax, r.ColdCachedAtEnd)
	}
	stop := every(cacheSampling, func() {
		sample()
		r.CacheSamples++
	})
	return func() *report.ColdRun {
		stop()
		sample()
		return r
	}
}

func fetchTimes(p *load.Paced) *report.FetchTimes {
	return &report.FetchTimes{Fetches: p.Fetches, Late: p.Late, Latencies: latencies(p.Latency)}
}
