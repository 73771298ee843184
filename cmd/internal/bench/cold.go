package bench

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"oneplusn/cmd/internal/load"
	"oneplusn/cmd/internal/peer"
	"oneplusn/cmd/internal/report"
)

// ColdOptions say what [Site.Cold] measures.
type ColdOptions struct {
	Data DataSet
	// HotBytes is how much of the log's end the hot readers read; the cold readers read everything before it.
	HotBytes                int64
	HotReaders, ColdReaders int
	// Reader says how a subscriber reads; a hot reader sends one fetch in the time Every.
	Reader load.DrainOptions
	Every  time.Duration
	// Alone is how long the hot readers read before the cold ones come.
	Alone time.Duration
	// Mode is the servers' transfer mode, CacheBytes the --cold-cache of the one that bounds it.
	Mode       string
	CacheBytes int64
	// MemoryBytes limits server and client together, page cache included; 0 if it is not known.
	MemoryBytes int64
	// Runs is how often each policy is measured.
	Runs int
}

// coldPolicy decides which records read from disk the page cache keeps.
type coldPolicy struct {
	name       string
	cacheBytes int64
}

// coldSegments is about how many segments the log has, so that a cold reader reads several.
const coldSegments = 8

// coldFlags are the server's flags under a policy.
func (o *ColdOptions) coldFlags(p coldPolicy) []string {
	segment := min(max(o.Data.Bytes/coldSegments, 2*int64(o.Data.BatchBytes)), 1<<30)
	return []string{"--transfer", o.Mode, "--segment-bytes", strconv.FormatInt(segment, 10),
		"--cold-cache", strconv.FormatInt(p.cacheBytes, 10)}
}

// Cold measures hot readers of the log's end beside cold readers of everything before it. First the kernel alone manages
// the page cache, then the server bounds what cold readers fill of it.
func (s *Site) Cold(ctx context.Context, o ColdOptions) (runs []*report.ColdRun, err error) {
	policies := []coldPolicy{{"kernel", 0}, {"bounded", o.CacheBytes}}
	layout, err := s.publish(ctx, o.Data, o.coldFlags(policies[0]))
	if err != nil {
		return nil, err
	}
	if rest := layout.Bytes - o.HotBytes; rest < int64(o.Data.BatchBytes) {
		return nil, fmt.Errorf("bench: the log has %d bytes, a hot part of %d leaves cold readers no batch: choose a smaller --hot-size",
			layout.Bytes, o.HotBytes)
	}
	s.warnOfMemory(&o, layout.Bytes)
	for run := range o.Runs {
		for _, policy := range policies {
			m := coldMeasurement{ColdOptions: &o, site: s, name: fmt.Sprintf("run %d of %d, %s", run+1, o.Runs, policy.name)}
			m.cold, m.hot = layout.Split(layout.Bytes - o.HotBytes)
			err := s.withServer(o.coldFlags(policy), func(server *peer.Server) error {
				m.server = server
				r, err := m.run(ctx)
				if err != nil {
					return fmt.Errorf("%s: %w", policy.name, err)
				}
				r.Run, r.Policy, r.ColdCacheBytes = run+1, policy.name, policy.cacheBytes
				runs = append(runs, r)
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return runs, nil
}

// processesBytes is roughly the memory of server and client without the page cache.
const processesBytes = 96 << 20

// warnOfMemory warns if the memory is too large for the policies to differ, or too small for either.
func (s *Site) warnOfMemory(o *ColdOptions, logBytes int64) {
	switch need := o.HotBytes + o.CacheBytes + processesBytes; {
	case o.MemoryBytes == 0:
	case o.MemoryBytes >= logBytes+processesBytes:
		s.progress.Step("note: the whole log of %d MiB fits in the memory of %d MiB, so the kernel evicts nothing: --help shows how to set a limit",
			logBytes>>20, o.MemoryBytes>>20)
	case o.MemoryBytes < need:
		s.progress.Step("note: the hot part of %d MiB, the cold cache of %d MiB and two processes do not fit in the memory of %d MiB: choose a smaller --hot-size",
			o.HotBytes>>20, o.CacheBytes>>20, o.MemoryBytes>>20)
	}
}
