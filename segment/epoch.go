package segment

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"oneplusn/segment/mark"
	"oneplusn/segment/records"
)

// epochStart is a line of leader-epoch-checkpoint: batches from that offset on have that epoch.
type epochStart struct {
	epoch  int32
	offset int64
}

const epochFile = "leader-epoch-checkpoint"

// LeaderEpoch is the epoch of appended batches: the higher of the options' and the directory's last one.
func (l *Log) LeaderEpoch() int32 {
	if n := len(l.epochs); n > 0 {
		return max(l.options.LeaderEpoch, l.epochs[n-1].epoch)
	}
	return l.options.LeaderEpoch
}

// EpochEnd is the largest epoch not above the given one and the offset behind its last record, as OffsetForLeaderEpoch
// answers (KIP-320). An epoch below the first known one ended at the latest where that began. An epoch above the log's own is
// unknown: -1 and -1.
func (l *Log) EpochEnd(epoch int32) (found int32, endOffset int64) {
	if epoch < 0 || epoch > l.LeaderEpoch() {
		return -1, -1
	}
	found, endOffset = epoch, l.LogEndOffset()
	for _, e := range l.epochs {
		if e.epoch > epoch {
			return found, e.offset
		}
		found = e.epoch
	}
	return found, endOffset
}

// EpochOf is the epoch of the record at an offset, or -1 if it is unknown.
func (l *Log) EpochOf(offset int64) int32 {
	epoch := int32(-1)
	for _, e := range l.epochs {
		if e.offset > offset {
			break
		}
		epoch = e.epoch
	}
	return epoch
}

// openEpochs reads leader-epoch-checkpoint and adds the epoch of later appends. If records may be lost that a client has
// read, their successors get a new epoch, by which clients notice.
func (l *Log) openEpochs(mayHaveLost bool) error {
	fsys, path := l.options.FS, filepath.Join(l.dir, epochFile)
	lost, err := l.readAside(path, "leader epochs continue above that of the last batch", func(text []byte) (err error) {
		if len(text) > 0 {
			l.epochs, err = parseEpochs(text)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	mayHaveLost = mayHaveLost || lost
	epoch, err := l.nextEpoch(mayHaveLost)
	if err != nil {
		return err
	}
	end := l.LogEndOffset()
	known := len(l.epochs)
	for n := known; n > 0 && l.epochs[n-1].offset > end; n-- {
		mark.Hit("a leader epoch was cut with its records")
		l.epochs = l.epochs[:n-1] // its records were cut
	}
	n := len(l.epochs)
	if n > 0 && l.epochs[n-1].epoch >= epoch && n == known {
		return nil
	}
	if n > 0 && l.epochs[n-1].offset == end {
		l.epochs = l.epochs[:n-1] // it has no records, so it needs no line
	}
	l.epochs = append(l.epochs, epochStart{epoch, end})
	for len(l.epochs) > 1 && l.epochs[1].offset <= l.LogStartOffset() {
		l.epochs = l.epochs[1:] // all of its records were deleted
	}
	if err := putEpochs(fsys, path, formatEpochs(l.epochs)); err != nil {
		return fmt.Errorf("segment: writing %s: %w", path, err)
	}
	l.dirUnsynced = true
	return nil
}

// putEpochs replaces the file. On a full disk it overwrites the file in place, which needs no space, because the log must
// remain readable. A crash in the middle of that leaves at worst a file that does not parse.
func putEpochs(fsys FS, path string, content []byte) error {
	err := putFile(fsys, path, content)
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return err
	}
	mark.Hit("a full disk let leader epochs be written only in place")
	f, oerr := fsys.Open(path, ReadWrite)
	if oerr != nil {
		return err
	}
	_, werr := f.WriteAt([][]byte{content}, 0)
	if werr == nil {
		werr = f.Truncate(int64(len(content)))
	}
	if werr == nil {
		werr = f.Sync()
	}
	if werr = errors.Join(werr, f.Close()); werr != nil {
		return errors.Join(err, werr)
	}
	return nil
}

// nextEpoch is the epoch of later appends: above all used ones if records may have been lost.
func (l *Log) nextEpoch(mayHaveLost bool) (int32, error) {
	var used int32
	if n := len(l.epochs); n > 0 {
		used = l.epochs[n-1].epoch
		mayHaveLost = mayHaveLost || l.epochs[n-1].offset > l.LogEndOffset()
	} else { // there is no file, or the log is new
		var err error
		if used, err = l.lastEpoch(); err != nil {
			return 0, err
		}
		mayHaveLost = mayHaveLost && used >= 0
	}
	if mayHaveLost && used < math.MaxInt32 {
		mark.Hit("a log got a new leader epoch, for records may be lost")
		used++
	}
	return max(used, l.options.LeaderEpoch), nil
}

// lastEpoch is the epoch of the log's last batch, or -1.
func (l *Log) lastEpoch() (epoch int32, err error) {
	epoch = -1
	for _, s := range slices.Backward(l.segments) {
		if s.size == 0 {
			continue
		}
		at := s.index.find(relative(s.next-1, s.base), s.size, &l.scratch).from
		err = walkFile(s.file, s.size, s.base, at, func(h records.Batch, _ int64) bool {
			epoch = h.LeaderEpoch
			return true
		})
		if err != nil {
			err = fmt.Errorf("segment: reading the last epoch of %s: %w", s.path, err)
		}
		return max(epoch, -1), err
	}
	return epoch, nil
}

// parseEpochs reads lines of epoch and start offset.
func parseEpochs(text []byte) ([]epochStart, error) {
	lines, err := checkpointLines(text)
	if err != nil {
		return nil, err
	}
	var list []epochStart
	for i, line := range lines {
		first, second, _ := strings.Cut(line, " ")
		epoch, err := strconv.ParseInt(first, 10, 32)
		offset, oerr := strconv.ParseInt(second, 10, 64)
		if err != nil || oerr != nil || epoch < 0 || offset < 0 {
			return nil, fmt.Errorf("line %d holds %.40q, it should be epoch and offset", i+3, line)
		}
		if n := len(list); n > 0 && (int32(epoch) <= list[n-1].epoch || offset < list[n-1].offset) {
			return nil, fmt.Errorf("line %d does not follow the one before", i+3)
		}
		list = append(list, epochStart{int32(epoch), offset})
	}
	return list, nil
}

func formatEpochs(list []epochStart) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "0\n%d\n", len(list))
	for _, e := range list {
		fmt.Fprintf(&b, "%d %d\n", e.epoch, e.offset)
	}
	return b.Bytes()
}
