package fanout

import (
	"log/slog"

	"oneplusn/fanout/budget"
	"oneplusn/fanout/catalog"
)

// descriptors divide the limit on open files, so that no part can exhaust the others' share.
//
//	limit on open files (ulimit -n)
//	├── spare           the ring, the admin pages, files that background work opens and closes
//	├── pipes           of --pipes, two each; fewer where the limit is low
//	├── finishedFiles   finished segments that are being read; the others are closed, see segment.Files
//	├── unfinished      segments that have ended and wait for the disk
//	└── all
//	    ├── files       of partitions: see catalog.FilesEach
//	    └── connections of which some are kept back
type descriptors struct {
	all, files, connections *budget.Budget
	pipes                   int
}

const (
	spareDescriptors = 96
	// leastDescriptors are divided even if the limit is lower: the kernel will refuse some of them.
	leastDescriptors = 128
)

// usableDescriptors is the number to divide.
func usableDescriptors(c *Config) int64 {
	return max(c.Machine.OpenFilesLimit-spareDescriptors, leastDescriptors)
}

// unfinishedSegments is how many segments may have ended and not be finished: each keeps its file open.
func unfinishedSegments(c *Config) int { return int(min(max(usableDescriptors(c)/3, 16), 1024)) }

// finishedFiles is how many files of finished segments may be open.
func finishedFiles(c *Config) int { return int(min(max(usableDescriptors(c)/8, 8), 1<<14)) }

// newDescriptors divides the limit, for a directory with so many partitions.
func newDescriptors(c *Config, existing int, log *slog.Logger) descriptors {
	usable := usableDescriptors(c)
	d := descriptors{pipes: int(min(int64(c.Transfer.MaxPipes), max(usable/16, 2)))}
	left := usable - 2*int64(d.pipes) - int64(finishedFiles(c)) - int64(unfinishedSegments(c))
	connections := min(int64(c.MaxConnections), left/4)
	needed := int64(existing) * catalog.FilesEach
	files := left - connections
	if needed > files {
		log.Warn("the existing topics need more open files than the limit leaves for them", "partitions", existing,
			"limit", c.Machine.OpenFilesLimit, "for_topics", files, "needed", needed, "remedy", "raise the limit on open files (ulimit -n)")
		files = needed
		left = max(left, needed+connections)
	}
	const remedy = "raise the limit on open files (ulimit -n)"
	d.all = budget.New("descriptor", remedy, left)
	d.files = d.all.Share("descriptor of files", files)
	d.connections = d.all.Share("descriptor of connections", int64(c.MaxConnections))
	if d.pipes < c.Transfer.MaxPipes {
		log.Info("fewer pipes than --pipes, because of the limit on open files", "pipes", d.pipes, "limit", c.Machine.OpenFilesLimit)
	}
	return d
}
