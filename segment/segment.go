package segment

import (
	"fmt"

	"oneplusn/segment/records"
)

// Segment is one file of a log, with a reference count: the log holds it, and each range in flight does.
type Segment struct {
	fs       FS
	closer   *Closer
	file     File
	path     string
	base     int64 // the offset in its name
	next     int64 // the offset behind its last batch
	size     int64 // the end of its last batch: bytes behind it were never handed out
	visible  int64 // the end of its last batch below the high watermark
	synced   int64 // durable up to here
	capacity int64 // a batch that would end behind it goes to the next segment, unless it is the first
	index    index
	segmentTimes
	codecs   uint // the codecs of its batches, a bit each, or unknownCodecs
	mapped   []byte
	outgrown [][]byte // mappings that became too small: sends in flight may read them
	// leftovers: a failed write left bytes behind size. They were never handed out, and the next write first cuts them: a
	// shorter batch in their place would leave their end behind it, which recovery would take for data behind damage.
	leftovers bool
	// snapshot is the producer snapshot of the segment's end, until it is written.
	snapshot []byte
	holds    int // the reference count
	// unfinishedIn counts the segment while it is closed and not finished; nil otherwise.
	unfinishedIn *Files
}

// unknownCodecs: the segment was opened without reading its batches.
const unknownCodecs uint = 1 << 31

// Fd is the file's descriptor, for the log's thread. It is valid while the segment is held.
func (s *Segment) Fd() int {
	s.checkHeld()
	return s.file.Fd()
}

// Path is the path of its file.
func (s *Segment) Path() string { return s.path }

// BaseOffset is the offset of the segment's first record.
func (s *Segment) BaseOffset() int64 { return s.base }

// NextOffset is the offset behind the segment's last record.
func (s *Segment) NextOffset() int64 { return s.next }

// Retain takes a reference: the file stays open and mapped even if the log releases the segment.
func (s *Segment) Retain() {
	s.checkHeld()
	s.holds++
}

// checkHeld catches the use of a segment whose file may be closed, and whose descriptor number may be another file's.
func (s *Segment) checkHeld() {
	if s.holds < 1 {
		panic("segment: used after the last hold was released: " + s.path)
	}
}

// Release drops a reference. The last one closes the file.
func (s *Segment) Release() {
	s.checkHeld()
	if s.holds--; s.holds > 0 {
		return
	}
	s.counted()
	s.closer.close(closing{s.fs, [2]File{s.file, s.index.file}, s.mapped, s.outgrown})
	s.mapped, s.outgrown, s.index.file = nil, nil, nil
}

// Held reports whether the segment has references. Without any, its file is closed.
func (s *Segment) Held() bool { return s.holds > 0 }

// Size is the end of the last batch below the high watermark, in bytes.
func (s *Segment) Size() int64 { return s.visible }

// Map returns a read-only mapping of the segment, up to its capacity and at least up to its size, so that it covers any range that
// [Log.Read] returned. It maps again only if the segment outgrew the mapping; earlier ones stay mapped while the segment is held.
// Behind the end of the file there are no pages: the kernel's reads get EFAULT, ours SIGBUS.
func (s *Segment) Map() ([]byte, error) {
	s.checkHeld()
	if s.mapped != nil && int64(len(s.mapped)) >= s.size {
		return s.mapped, nil
	}
	n := max(s.capacity, s.size)
	m, err := s.file.Map(int(n))
	if err != nil {
		return nil, fmt.Errorf("segment: mapping %d bytes of %s: %w", n, s.path, err)
	}
	if s.mapped != nil {
		s.outgrown = append(s.outgrown, s.mapped)
	}
	s.mapped = m
	return m, nil
}

// note adds a batch that was written at s.size.
func (s *Segment) note(h records.Batch) {
	s.codecs |= 1 << (h.Attributes.Codec())
	s.index.add(relative(h.BaseOffset, s.base), relative(h.LastOffset(), s.base), s.size, h.MaxTimestamp)
	s.size += int64(h.Size())
	s.next = h.NextOffset()
}

func (s *Segment) cutLeftovers() error {
	if !s.leftovers {
		return nil
	}
	if err := cutFile(s.file, s.size, s.path); err != nil {
		return err
	}
	s.leftovers = false
	return nil
}

// cutFile cuts what a failed write left behind a size. It blocks.
func cutFile(file File, size int64, path string) error {
	if err := file.Truncate(size); err != nil {
		return fmt.Errorf("%w: cutting what a failed write left behind %d of %s: %w", ErrStorage, size, path, err)
	}
	return nil
}
