package segment

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Segment is one file of a log. Ranges of it that are being sent hold it; see [Segment.Retain].
type Segment struct {
	fs       FS
	file     File
	path     string
	base     int64 // the offset in its name
	next     int64 // the offset behind its last batch
	size     int64 // where its last batch ends: what lies behind was never handed out
	visible  int64 // where its last batch below the high watermark ends
	synced   int64 // up to here it is durable
	capacity int64 // no batch ends behind it
	index    index
	// firstTimestamp is that of the first batch, or -1. createdMillis counts where there is none.
	firstTimestamp, createdMillis int64
	mapped                        []byte
	// leftovers says that a failed write left bytes behind size. They were never handed out, and are cut before the
	// next write: a shorter batch in their place would leave their end behind it, and recovery would take that for
	// data behind damage.
	leftovers bool
	// snapshot is what was known of the producers at the segment's end, until it has been written.
	snapshot []byte
	holds    int // the log's own, and one for each range under way
}

// Fd is the file's descriptor. It is valid while the segment is held.
func (s *Segment) Fd() int { return s.file.Fd() }

// BaseOffset is the offset of the segment's first record.
func (s *Segment) BaseOffset() int64 { return s.base }

// NextOffset is the offset behind the segment's last record.
func (s *Segment) NextOffset() int64 { return s.next }

// Retain holds the segment: its file stays open, and mapped if it was, though the log may have let go of it.
func (s *Segment) Retain() { s.holds++ }

// Release gives a hold back. The last one closes the file.
func (s *Segment) Release() {
	s.holds--
	if s.holds < 0 {
		panic("segment: released more often than held: " + s.path)
	}
	if s.holds > 0 {
		return
	}
	if s.mapped != nil {
		_ = unix.Munmap(s.mapped)
		s.mapped = nil
	}
	_ = s.file.Close()
	if s.index.file != nil {
		_ = s.index.file.Close()
		s.index.file = nil
	}
}

// Held says that somebody holds the segment. If not, its file is closed.
func (s *Segment) Held() bool { return s.holds > 0 }

// Size is where the last batch below the high watermark ends, in bytes.
func (s *Segment) Size() int64 { return s.visible }

// Map maps the segment read-only, once, as far as it can ever grow: bytes up to the end of any range that
// [Log.Read] returned may be read. Reading behind the end of the file is a fault, which the kernel turns into EFAULT
// for its own reads and into SIGBUS for ours.
func (s *Segment) Map() ([]byte, error) {
	if s.mapped == nil {
		m, err := unix.Mmap(s.file.Fd(), 0, int(s.capacity), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return nil, fmt.Errorf("segment: mapping %d bytes of %s: %w", s.capacity, s.path, err)
		}
		s.mapped = m
	}
	return s.mapped, nil
}

// note takes a batch into account that was written at s.size.
func (s *Segment) note(h Batch) {
	if s.size == 0 {
		s.firstTimestamp = h.MaxTimestamp
	}
	s.index.add(uint32(h.BaseOffset-s.base), uint32(h.LastOffset()-s.base), s.size, h.MaxTimestamp)
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
