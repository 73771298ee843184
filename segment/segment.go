package segment

import (
	"fmt"

	"golang.org/x/sys/unix"

	"oneplusn/segment/records"
)

// Segment is one file of a log. Ranges of it that are being sent hold it; see [Segment.Retain].
type Segment struct {
	fs       FS
	closer   *Closer
	file     File
	path     string
	base     int64 // the offset in its name
	next     int64 // the offset behind its last batch
	size     int64 // where its last batch ends: what lies behind was never handed out
	visible  int64 // where its last batch below the high watermark ends
	synced   int64 // up to here it is durable
	capacity int64 // a batch that would end behind it goes to the next segment, unless it is the first
	index    index
	segmentTimes
	codecs   uint // the codecs of its batches, a bit each, or unknownCodecs
	mapped   []byte
	outgrown [][]byte // mappings that the segment grew beyond: sends under way may read them
	// leftovers says that a failed write left bytes behind size. They were never handed out, and are cut before the
	// next write: a shorter batch in their place would leave their end behind it, and recovery would take that for
	// data behind damage.
	leftovers bool
	// snapshot is what was known of the producers at the segment's end, until it has been written.
	snapshot []byte
	holds    int // the log's own, and one for each range under way
	// unfinishedIn counts the segment as one that is not finished; nil if it is.
	unfinishedIn *Files
}

// unknownCodecs says that a segment was opened without a look at its batches.
const unknownCodecs uint = 1 << 31

// Fd is the file's descriptor, for the log's thread. It is valid while the segment is held.
func (s *Segment) Fd() int {
	s.checkHeld()
	return s.file.Fd()
}

// Path is the file's name.
func (s *Segment) Path() string { return s.path }

// BaseOffset is the offset of the segment's first record.
func (s *Segment) BaseOffset() int64 { return s.base }

// NextOffset is the offset behind the segment's last record.
func (s *Segment) NextOffset() int64 { return s.next }

// Retain holds the segment: its file stays open, and mapped if it was, though the log may have let go of it.
func (s *Segment) Retain() {
	s.checkHeld()
	s.holds++
}

// checkHeld finds out who uses a segment whose file may be closed, and its descriptor's number another's.
func (s *Segment) checkHeld() {
	if s.holds < 1 {
		panic("segment: used after the last hold was released: " + s.path)
	}
}

// Release gives a hold back. The last one lets the file be closed.
func (s *Segment) Release() {
	s.checkHeld()
	if s.holds--; s.holds > 0 {
		return
	}
	s.counted()
	s.closer.close(closing{[2]File{s.file, s.index.file}, s.mapped, s.outgrown})
	s.mapped, s.outgrown, s.index.file = nil, nil, nil
}

// Held says that somebody holds the segment. If not, its file is closed.
func (s *Segment) Held() bool { return s.holds > 0 }

// Size is where the last batch below the high watermark ends, in bytes.
func (s *Segment) Size() int64 { return s.visible }

// Map maps the segment read-only, as far as it may grow and at least as far as it has: bytes up to the end of any range
// that [Log.Read] returned may be read. It is made once; again only if the segment has outgrown it, and what was handed out
// before stays mapped as long as the segment is held. Reading behind the end of the file is a fault, which the kernel turns
// into EFAULT for its own reads and into SIGBUS for ours.
func (s *Segment) Map() ([]byte, error) {
	s.checkHeld()
	if s.mapped != nil && int64(len(s.mapped)) >= s.size {
		return s.mapped, nil
	}
	n := max(s.capacity, s.size)
	m, err := unix.Mmap(s.file.Fd(), 0, int(n), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("segment: mapping %d bytes of %s: %w", n, s.path, err)
	}
	if s.mapped != nil {
		s.outgrown = append(s.outgrown, s.mapped)
	}
	s.mapped = m
	return m, nil
}

// note takes a batch into account that was written at s.size.
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

// cutFile cuts what a failed write left behind a size. It may block.
func cutFile(file File, size int64, path string) error {
	if err := file.Truncate(size); err != nil {
		return fmt.Errorf("%w: cutting what a failed write left behind %d of %s: %w", ErrStorage, size, path, err)
	}
	return nil
}
