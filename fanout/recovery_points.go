package fanout

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"oneplusn/segment"
)

// RecoveryPoints are the offsets below which the logs of a data directory were durable, as its file says. They decide
// what a start may cut after a crash: see [segment.OpenOptions].
type RecoveryPoints struct {
	dir   string
	known bool // there is a file, and it can be read
	from  map[string]int64
}

// ReadRecoveryPoints reads them. After an error they say that nothing is known, which is safe.
func ReadRecoveryPoints(dir string) (RecoveryPoints, error) {
	path := filepath.Join(dir, segment.RecoveryPointFile)
	r := RecoveryPoints{dir: dir}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	points, err := segment.ReadCheckpoint(segment.OS, path)
	if err == nil {
		r.known, r.from = true, points
	}
	return r, err
}

// Of is the recovery point of a partition, by the name of its directory. A log that is younger than the file has none
// yet, if it was made here; of one that was copied here nothing is known.
func (r RecoveryPoints) Of(directory string) int64 {
	if point, ok := r.from[directory]; ok {
		return point
	}
	cut := strings.LastIndexByte(directory, '-')
	if !r.known || cut < 0 {
		return segment.AllDurable
	}
	if _, err := os.Stat(topicConfigPath(r.dir, directory[:cut])); err != nil {
		return segment.AllDurable
	}
	return 0
}

// checkpointEvery is how far a recovery point may lag behind its log, at most.
const checkpointEvery = 5 * time.Second

// checkpoints writes the recovery points down when they have moved.
type checkpoints struct {
	next    time.Duration
	waiting bool // a write is in the line of file changes, or under way
}

// recoveryPoint is one of them, to be written.
type recoveryPoint struct {
	partition *partition
	offset    int64
}

// recoveryPoints are those of every partition. A refused one keeps what its start was told, or the next start would
// know less and cut what this one did not; one that could not even be told the damage by is never to be cut.
func (t *topics) recoveryPoints() []recoveryPoint {
	var points []recoveryPoint
	for _, tp := range t.byName {
		for _, p := range tp.partitions {
			offset := p.recoveryPoint
			if p.refused == nil {
				offset = p.log.DurableOffset()
			}
			points = append(points, recoveryPoint{p, offset})
		}
	}
	return points
}

// recoveryPointsMoved says that a log has become durable further than the file says.
func (t *topics) recoveryPointsMoved() bool {
	for _, tp := range t.byName {
		for p := range tp.served() {
			if p.log.DurableOffset() != p.recoveryPoint {
				return true
			}
		}
	}
	return false
}

// writeRecoveryPoints blocks, and touches nothing that the loop changes.
func writeRecoveryPoints(fs segment.FS, dir string, points []recoveryPoint) error {
	offsets := make(map[string]int64, len(points))
	for _, point := range points {
		offsets[point.partition.directory()] = point.offset
	}
	return segment.WriteCheckpoint(fs, filepath.Join(dir, segment.RecoveryPointFile), offsets)
}

// recoveryPointsWritten tells the logs.
func recoveryPointsWritten(points []recoveryPoint) {
	for _, point := range points {
		p := point.partition
		p.recoveryPoint = point.offset
		if p.refused == nil {
			p.log.Checkpointed(point.offset)
		}
	}
}

// settle writes the recovery points before anything is served, or after everything was closed. If that fails they stay
// behind: a later start then cuts less than it could.
func (t *topics) settle(log *slog.Logger) {
	points := t.recoveryPoints()
	if err := writeRecoveryPoints(t.fs, t.dir, points); err != nil {
		warnRecoveryPoints(log, err)
		return
	}
	recoveryPointsWritten(points)
}

func warnRecoveryPoints(log *slog.Logger, err error) {
	log.Warn("the recovery points of logs could not be written down", "error", err, "remedy", storageRemedy(err))
}

// checkpoint writes the recovery points in the background, if any has moved.
func (b *Broker) checkpoint() {
	k := &b.checkpoints
	k.next = b.loop.Now() + b.config.pace.checkpoint
	if k.waiting || !b.topics.recoveryPointsMoved() {
		return
	}
	k.waiting = true
	b.topics.changes.write(&b.topics.pointsFile, func(err error) {
		k.waiting = false
		if err != nil {
			warnRecoveryPoints(b.loop.Log, err)
		}
	})
}

// writePoints says what the recovery points are by now. They are the logs' when the work is done.
func (t *topics) writePoints() (work func() error, written func()) {
	points, dir, fs := t.recoveryPoints(), t.dir, t.fs
	return func() error { return writeRecoveryPoints(fs, dir, points) }, func() { recoveryPointsWritten(points) }
}
