package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"oneplusn/fanout/commit"
	"oneplusn/segment"
	"oneplusn/segment/mark"
)

// RecoveryPoints are the offsets below which the logs of a data directory were durable, as its file says. They decide
// what a start may cut after a crash: see [segment.OpenOptions].
type RecoveryPoints struct {
	dir   string
	fsys  segment.FS
	known bool // the file exists, and is readable
	from  map[string]int64
}

// ReadRecoveryPoints reads them. After an error they are unknown, which is safe.
func ReadRecoveryPoints(fsys segment.FS, dir string) (RecoveryPoints, error) {
	path := filepath.Join(dir, segment.RecoveryPointFile)
	r := RecoveryPoints{fsys: fsys, dir: dir}
	if _, err := fsys.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	points, err := segment.ReadCheckpoint(fsys, path)
	if err == nil {
		r.known, r.from = true, points
	}
	return r, err
}

// Of is the recovery point of a partition, by the name of its directory. A log made here after the file was written has none
// yet; that of a log copied here is unknown.
func (r RecoveryPoints) Of(directory string) int64 {
	if point, ok := r.from[directory]; ok {
		return point
	}
	cut := strings.LastIndexByte(directory, '-')
	if !r.known || cut < 0 {
		return segment.AllDurable
	}
	if _, err := r.fsys.Stat(topicConfigPath(r.dir, directory[:cut])); err != nil {
		return segment.AllDurable
	}
	return 0
}

// CheckpointEvery is how far a recovery point may lag behind its log, at most.
const CheckpointEvery = 5 * time.Second

// recoveryPoints are those of every partition. An offline partition keeps its old one, or the next start would cut the damage that
// this one refused; without a recovery point nothing is ever cut.
func (c *Catalog) recoveryPoints() map[*Partition]int64 {
	points := make(map[*Partition]int64)
	for tp := range c.all() {
		for _, p := range tp.Partitions {
			offset := p.recoveryPoint
			if p.Offline == nil {
				if offset = p.Log.DurableOffset(); offset > p.Log.LogEndOffset() {
					panic(fmt.Sprintf("catalog: the recovery point of %s is %d, its end %d", p.Directory(), offset, p.Log.LogEndOffset()))
				}
			}
			points[p] = offset
		}
	}
	return points
}

// recoveryPointsMoved reports whether a log has become durable further than the file says.
func (c *Catalog) recoveryPointsMoved() bool {
	for tp := range c.all() {
		for p := range tp.Online() {
			if p.Log.DurableOffset() != p.recoveryPoint {
				return true
			}
		}
	}
	return false
}

// snapshotPoints takes the current recovery points. The logs learn of them when they are written.
func (c *Catalog) snapshotPoints() (write func() error, written func()) {
	points, fs, path := c.recoveryPoints(), c.config.FS, filepath.Join(c.config.Dir, segment.RecoveryPointFile)
	return func() error {
			offsets := make(map[string]int64, len(points))
			for p, offset := range points {
				offsets[p.Directory()] = offset
			}
			return segment.WriteCheckpoint(fs, path, offsets)
		}, func() {
			for p, offset := range points {
				if p.recoveryPoint = offset; p.Offline == nil {
					p.Log.Checkpointed(offset)
				}
			}
		}
}

// Settle writes the recovery points before anything is served, or after everything was closed. It blocks. If it fails they stay
// behind: a later start then cuts less than it could.
func (c *Catalog) Settle() {
	write, written := c.snapshotPoints()
	err := write()
	if err == nil {
		written()
	}
	c.warnRecoveryPoints(err)
}

func (c *Catalog) warnRecoveryPoints(err error) {
	if err != nil {
		mark.Hit("the recovery points of logs could not be written")
		c.loop.Log.Warn("the recovery points of logs could not be written", "error", err, "remedy", commit.StorageRemedy(err))
	}
}

// checkpoint writes the recovery points in the background, if any has moved.
func (c *Catalog) checkpoint() {
	if !c.pointsFile.writing && c.recoveryPointsMoved() {
		c.pointsFile.write(c.warnRecoveryPoints)
	}
}
