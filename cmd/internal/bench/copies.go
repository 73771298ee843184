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

// copyWay is one way to move the data set to all subscribers.
type copyWay struct {
	name, mode string
	// alone lets subscribers read one after the other, each from a cold cache: they share nothing.
	alone bool
}

// copyWays are the rows of the report, most expensive first.
var copyWays = []copyWay{
	{"copy, cache dropped before each", "copy", true},
	{"copy, page cache shared", "copy", false},
	{"send from the mapped cache", "send", false},
	{"sendfile", "sendfile", false},
	{"splice", "splice", false},
	{"auto", "auto", false},
}

// Copies publishes the data set, moves it to all subscribers in each way, and counts the copies. reader says how many
// subscribers there are, and how one reads.
func (s *Site) Copies(ctx context.Context, data DataSet, reader load.DrainOptions) ([]*report.CopyRow, *load.Layout, error) {
	layout, err := s.publish(ctx, data, []string{"--transfer", "copy"})
	if err != nil {
		return nil, nil, err
	}
	reader.Layout = layout
	if err := s.warnOfSlowDisk(reader.Subscribers); err != nil {
		return nil, nil, err
	}
	var rows []*report.CopyRow
	for i, way := range copyWays {
		s.progress.Step("%d of %d: %s ...", i+1, len(copyWays), way.name)
		err := s.withServer([]string{"--transfer", way.mode}, func(server *peer.Server) error {
			row, err := s.count(ctx, server, way, reader)
			rows = append(rows, row)
			return err
		})
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", way.name, err)
		}
	}
	return rows, layout, nil
}

// slowPass is how long all cold reads together may take without a warning.
const slowPass = 20 * time.Second

// warnOfSlowDisk reads the data set cold once, and warns if all cold reads will take long on this disk.
func (s *Site) warnOfSlowDisk(subscribers int) error {
	if host.OnMemory(s.Dir) {
		return nil
	}
	segments, err := host.OpenSegments(s.Dir, s.Topic)
	if err != nil {
		return err
	}
	defer segments.Close()
	if _, err := segments.Drop(); err != nil {
		return err
	}
	started := time.Now()
	if err := segments.Read(0, segments.Bytes); err != nil {
		return err
	}
	took := time.Since(started)
	coldReads := subscribers + len(copyWays) - 1
	if all := took * time.Duration(coldReads); all > slowPass {
		s.progress.Step("this disk reads %.0f MB/s: %d cold reads of %d MiB will take about %v; a smaller --size takes less",
			float64(segments.Bytes)/1e6/took.Seconds(), coldReads, segments.Bytes>>20, all.Round(time.Second))
	}
	return nil
}

// count moves the data set in one way and counts the copies.
func (s *Site) count(ctx context.Context, server *peer.Server, way copyWay, reader load.DrainOptions) (*report.CopyRow, error) {
	row := &report.CopyRow{Name: way.name, Transfer: way.mode}
	unit, subscribers, sets := float64(reader.Layout.Bytes), reader.Subscribers, 1
	if way.alone {
		reader.Subscribers, sets = 1, subscribers
	}
	var received int64
	var cpu, cold float64
	for range sets {
		cached, err := s.drop()
		if err != nil {
			return nil, err
		}
		cold += 1 - cached
		row.StillCached = max(row.StillCached, cached)
		d, used, err := s.countDrain(ctx, server, reader)
		if err != nil {
			return nil, err
		}
		received += d.Bytes
		cpu += used.CPUSeconds()
		l := &used.Ledger
		row.Counted[report.DiskToCache] += float64(l.DiskToCacheBytes) / unit
		row.Counted[report.CacheToUser] += float64(l.CacheToUserBytes) / unit
		row.Counted[report.UserToSocket] += float64(l.UserToSocketBytes) / unit
		row.Counted[report.CacheToSocket] += float64(l.CacheToSocketBytes) / unit
		row.ByReference += float64(l.ByReferenceBytes) / unit
		if !l.DiskCounted {
			row.Uncounted[report.DiskToCache] = "/proc/self/io of the server cannot be read (a kernel without CONFIG_TASK_IO_ACCOUNTING?)"
		}
	}
	row.Predicted = report.Predict(way.mode, subscribers, cold)
	row.Counted[report.ToNIC] = float64(received) / unit
	row.CPUPerGB = cpu / (float64(received) / 1e9)
	if why := host.WhyReadsAreNotCounted(s.Dir); why != "" {
		row.Uncounted[report.DiskToCache] = why
	}
	return row, nil
}

// drop makes the data set cold and returns the share of it that stayed in the page cache.
func (s *Site) drop() (cachedShare float64, err error) {
	segments, err := host.OpenSegments(s.Dir, s.Topic)
	if err != nil {
		return 0, err
	}
	defer segments.Close()
	cached, err := segments.Drop()
	return float64(cached) / float64(max(segments.Bytes, 1)), err
}

// countDrain lets new subscribers read everything, checked.
func (s *Site) countDrain(ctx context.Context, server *peer.Server, reader load.DrainOptions) (*load.Drained, peer.Stats, error) {
	set, err := s.connect(ctx, server, reader)
	if err != nil {
		return nil, peer.Stats{}, err
	}
	defer set.Close()
	return s.drainCounted(ctx, server, set, fmt.Sprintf("%d subscribers", reader.Subscribers))
}
