package bench

import (
	"context"
	"fmt"
	"time"

	"oneplusn/cmd/internal/host"
	"oneplusn/cmd/internal/load"
	"oneplusn/cmd/internal/peer"
	"oneplusn/cmd/internal/report"
	"oneplusn/fanout"
)

// CopyOptions say what [Site.Copies] counts.
type CopyOptions struct {
	Data        DataSet
	Subscribers int
	FetchBytes  int
	Threads     int
}

// copyWay is one way to move the data set to all subscribers.
type copyWay struct {
	name, mode string
	// alone lets subscribers read one after the other, each from a cold cache: nothing is shared.
	alone bool
}

// copyWays are the rows of the report, dearest first.
var copyWays = []copyWay{
	{"copy, cache dropped before each", "copy", true},
	{"copy, page cache shared", "copy", false},
	{"send from the mapped cache", "send", false},
	{"sendfile", "sendfile", false},
	{"splice", "splice", false},
	{"auto", "auto", false},
}

// Copies publishes the data set and counts what each way to move it to all subscribers copies.
func (s *Site) Copies(ctx context.Context, o CopyOptions) ([]*report.CopyRow, *load.Layout, error) {
	var layout *load.Layout
	err := s.withServer(ctx, "copy", 0, func(server *peer.Server) (err error) {
		layout, err = o.Data.publish(ctx, server.Kafka, siteTopic, s.progress)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if err := s.sayHowLong(layout, o.Subscribers); err != nil {
		return nil, nil, err
	}
	var rows []*report.CopyRow
	for i, way := range copyWays {
		s.progress.Step("%d of %d: %s ...", i+1, len(copyWays), way.name)
		err := s.withServer(ctx, way.mode, 0, func(server *peer.Server) error {
			row, err := s.count(ctx, server, way, o, layout)
			rows = append(rows, row)
			return err
		})
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", way.name, err)
		}
	}
	return rows, layout, nil
}

// slowPass is how long all cold reads together may take before the user is told beforehand.
const slowPass = 20 * time.Second

// sayHowLong reads the data set cold once, and says so if this disk makes a long affair of the rest.
func (s *Site) sayHowLong(layout *load.Layout, subscribers int) error {
	if host.OnMemory(s.Dir) {
		return nil
	}
	files, err := host.SegmentFiles(s.Dir, siteTopic)
	if err != nil {
		return err
	}
	took, err := host.ReadCold(files)
	if err != nil {
		return err
	}
	coldReads := subscribers + len(copyWays) - 1
	if all := took * time.Duration(coldReads); all > slowPass {
		s.progress.Step("this disk reads %.0f MB/s: %d cold reads of %d MiB will take about %v; --size makes it shorter",
			float64(layout.Bytes)/1e6/took.Seconds(), coldReads, layout.Bytes>>20, all.Round(time.Second))
	}
	return nil
}

// count moves the data set in one way and counts.
func (s *Site) count(ctx context.Context, server *peer.Server, way copyWay, o CopyOptions, layout *load.Layout) (*report.CopyRow, error) {
	sets := [][2]int{{0, o.Subscribers}}
	if way.alone {
		sets = nil
		for i := range o.Subscribers {
			sets = append(sets, [2]int{i, i + 1})
		}
	}
	row := &report.CopyRow{Name: way.name, Transfer: way.mode}
	var received int64
	var cpu, cold float64
	for _, subs := range sets {
		cached, err := s.drop()
		if err != nil {
			return nil, err
		}
		cold += 1 - cached
		row.StillCached = max(row.StillCached, cached)
		d, ledger, used, err := s.countDrain(ctx, server, o, subs[1]-subs[0], layout)
		if err != nil {
			return nil, err
		}
		received += d.Bytes
		cpu += used
		enter(row, ledger, layout.Bytes)
		if !ledger.DiskCounted {
			row.Uncounted[report.DiskToCache] = "/proc/self/io of the server can't be read (a kernel without CONFIG_TASK_IO_ACCOUNTING?)"
		}
	}
	row.Predicted = report.Predict(way.mode, o.Subscribers, cold)
	row.Counted[report.ToNIC] = float64(received) / float64(layout.Bytes)
	row.CPUPerGB = cpu / (float64(received) / 1e9)
	if why := host.WhyReadsAreNotCounted(s.Dir); why != "" {
		row.Uncounted[report.DiskToCache] = why
	}
	return row, nil
}

// drop makes the data set cold and returns the share of it that stayed in the page cache.
func (s *Site) drop() (cachedShare float64, err error) {
	files, err := host.SegmentFiles(s.Dir, siteTopic)
	if err != nil {
		return 0, err
	}
	left, err := host.DropCache(files)
	if err != nil {
		return 0, err
	}
	return float64(left.CachedBytes) / float64(max(left.Bytes, 1)), nil
}

// countDrain lets n subscribers read everything, checked, and returns what the server counted and used meanwhile.
func (s *Site) countDrain(ctx context.Context, server *peer.Server, o CopyOptions, n int,
	layout *load.Layout) (d *load.Drained, counted fanout.LedgerStats, cpuSeconds float64, err error) {
	options := DrainOptions{FetchBytes: o.FetchBytes, Threads: o.Threads}
	set, err := connect(ctx, options.drainSubscribers(server.Kafka, siteTopic, n, layout), s.progress)
	if err != nil {
		return nil, counted, 0, err
	}
	defer set.Close()
	before, err := server.Stats(ctx)
	if err != nil {
		return nil, counted, 0, err
	}
	d, err = drain(ctx, set, fmt.Sprintf("%d subscribers", n), layout.Bytes*int64(n), s.progress)
	if err != nil {
		return nil, counted, 0, err
	}
	after, err := server.Stats(ctx)
	if err != nil {
		return nil, counted, 0, err
	}
	return d, after.Copied(&before), after.CPUSeconds() - before.CPUSeconds(), nil
}

// enter adds what the server counted to a row, in units of the data set.
func enter(row *report.CopyRow, l fanout.LedgerStats, unit int64) {
	for column, bytes := range map[int]uint64{
		report.DiskToCache:   l.DiskToCacheBytes,
		report.CacheToUser:   l.CacheToUserBytes,
		report.UserToSocket:  l.UserToSocketBytes,
		report.CacheToSocket: l.CacheToSocketBytes,
	} {
		row.Counted[column] += float64(bytes) / float64(unit)
	}
	row.ByReference += float64(l.ByReferenceBytes) / float64(unit)
}
