package segment

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"sort"
)

// ErrStorage wraps what the file system answered to a write.
var ErrStorage = errors.New("segment: the disk refused a write")

// Options configure a [Log]. The zero value of each means its default.
type Options struct {
	// SegmentBytes is the size at which a segment ends and the next begins. Default 1 GiB, at most 2 GiB - 1.
	SegmentBytes int64
	// IndexIntervalBytes is the distance of entries of the index in memory. Default 4096.
	IndexIntervalBytes int64
	// MaxBatchBytes is the largest batch that Append takes. Default 1 MiB and 12 bytes.
	MaxBatchBytes int
	// LeaderEpoch is written into appended batches.
	LeaderEpoch int32
	// FS is the file system. Default [OS].
	FS FS
	// Logger is told of what recovery does. Default none.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 1 << 30
	}
	o.SegmentBytes = min(o.SegmentBytes, math.MaxInt32)
	if o.IndexIntervalBytes == 0 {
		o.IndexIntervalBytes = 4096
	}
	if o.MaxBatchBytes == 0 {
		o.MaxBatchBytes = 1<<20 + batchOverhead
	}
	if o.FS == nil {
		o.FS = OS
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Log is the log of one partition. It belongs to one thread.
type Log struct {
	dir      string
	options  Options
	segments []*Segment // by base offset; the last is the active one
	lookup   lookup
	scratch  scratch
	closed   bool
}

// Appended says where [Log.Append] put its batches.
type Appended struct {
	// BaseOffset and LastOffset are the first and the last offset assigned.
	BaseOffset, LastOffset int64
	LogStartOffset         int64
	Bytes, Records         int
}

func (l *Log) active() *Segment { return l.segments[len(l.segments)-1] }

// LogStartOffset is the first offset that can be read.
func (l *Log) LogStartOffset() int64 { return l.segments[0].base }

// LogEndOffset is the offset that the next record will get.
func (l *Log) LogEndOffset() int64 { return l.active().next }

// HighWatermark is the offset below which everything can be read. It moves with the write that makes it true.
func (l *Log) HighWatermark() int64 { return l.LogEndOffset() }

// SizeBytes is the size of all batches.
func (l *Log) SizeBytes() (n int64) {
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

// Append checks one or more batches that a producer sent, assigns their offsets in place, and writes them with one
// write. If anything is wrong with one of them, none is appended. If the write fails or is short, the log is as it was:
// the next append goes to the same place.
func (l *Log) Append(batches []byte) (Appended, error) {
	base := l.LogEndOffset()
	next, records, err := l.check(batches, base)
	if err != nil {
		return Appended{}, err
	}
	if err := l.rollFor(int64(len(batches)), next-1); err != nil {
		return Appended{}, err
	}
	s := l.active()
	if err := s.cutLeftovers(); err != nil {
		return Appended{}, err
	}
	if n, err := s.file.WriteAt(batches, s.size); err != nil {
		s.leftovers = n > 0
		_ = s.cutLeftovers() // or before the next append
		return Appended{}, fmt.Errorf("%w: %d of %d bytes at %d of %s: %w", ErrStorage, n, len(batches), s.size, s.path, err)
	}
	l.commit(s, batches)
	return Appended{base, next - 1, l.LogStartOffset(), len(batches), records}, nil
}

// check checks every batch and then assigns their offsets, from base on.
func (l *Log) check(batches []byte, base int64) (next int64, records int, err error) {
	if len(batches) == 0 {
		return 0, 0, fmt.Errorf("%w: there is none", ErrBatchShort)
	}
	for at := 0; at < len(batches); {
		h, err := CheckBatch(batches[at:])
		if err == nil {
			err = h.checkProduced(l.options.MaxBatchBytes)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("at byte %d of %d: %w", at, len(batches), err)
		}
		at += h.Size()
	}
	next = base
	for at := 0; at < len(batches); {
		h, _ := ParseBatch(batches[at:])
		assign(batches[at:], next, l.options.LeaderEpoch)
		next += int64(h.LastOffsetDelta) + 1
		records += int(h.RecordCount)
		at += h.Size()
	}
	return next, records, nil
}

// commit notes batches that were written behind s.size. This is the one place where the high watermark moves.
func (l *Log) commit(s *Segment, batches []byte) {
	for at := 0; at < len(batches); {
		h, _ := ParseBatch(batches[at:])
		s.index.add(uint32(h.BaseOffset-s.base), s.size, h.MaxTimestamp)
		s.size += int64(h.Size())
		s.next = h.NextOffset()
		at += h.Size()
	}
	l.lookup = lookup{}
}

// rollFor begins a new segment if the active one cannot take n more bytes up to lastOffset.
func (l *Log) rollFor(n, lastOffset int64) error {
	s := l.active()
	if s.fits(n, lastOffset) {
		return nil
	}
	fresh, err := l.openSegment(s.next, true)
	if err != nil {
		return fmt.Errorf("%w: beginning a segment: %w", ErrStorage, err)
	}
	// A file of that name can only be one that was begun and never written to with success.
	l.segments = append(l.segments, fresh)
	return nil
}

func (l *Log) openSegment(base int64, create bool) (*Segment, error) {
	path := segmentPath(l.dir, base)
	f, err := l.options.FS.Open(path, create)
	if err != nil {
		return nil, err
	}
	return &Segment{
		file:     f,
		path:     path,
		base:     base,
		next:     base,
		capacity: l.options.SegmentBytes,
		index:    newIndex(l.options.IndexIntervalBytes),
		holds:    1,
	}, nil
}

// find is the segment that holds an offset between the log's start and its end.
func (l *Log) find(offset int64) *Segment {
	i := sort.Search(len(l.segments), func(i int) bool { return l.segments[i].base > offset })
	return l.segments[i-1]
}

// Close lets go of the files. Ranges under way keep theirs.
func (l *Log) Close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	for _, s := range l.segments {
		s.Release()
	}
	return nil
}

// deletedSuffix marks the directory of a partition whose topic was deleted, as Kafka does.
const deletedSuffix = "-delete"

// Delete ends the log and takes its directory out of the way, by one rename. remove removes the files; it may block and
// be called from any goroutine. Ranges under way can still be sent.
func (l *Log) Delete() (remove func() error, err error) {
	aside := l.dir + "." + randomHex() + deletedSuffix
	if err := l.options.FS.Rename(l.dir, aside); err != nil {
		return nil, fmt.Errorf("segment: deleting %s: %w", l.dir, err)
	}
	fs := l.options.FS
	_ = l.Close()
	return func() error {
		if err := fs.RemoveAll(aside); err != nil {
			return fmt.Errorf("segment: removing %s: %w", aside, err)
		}
		return nil
	}, nil
}

// IsDeleted says that a directory is what [Log.Delete] left when its remove was not called or did not finish.
func IsDeleted(dir string) bool {
	name := filepath.Base(dir)
	return len(name) > len(deletedSuffix) && name[len(name)-len(deletedSuffix):] == deletedSuffix
}
