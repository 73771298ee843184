package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"oneplusn/segment/cachestat"
)

// Segments are the segment files of one log, and what the page cache holds of them.
type Segments struct {
	// Bytes is the size of all files together.
	Bytes int64
	// Files are open for reading, in the order of their content.
	Files []*os.File

	sizes []int64
}

// OpenSegments opens the log of a topic's partition 0 in a data directory. The caller closes it.
func OpenSegments(dataDir, topic string) (*Segments, error) {
	paths, err := filepath.Glob(filepath.Join(dataDir, topic+"-0", "*.log"))
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("%s has no segment of topic %s", dataDir, topic)
	}
	s := new(Segments)
	for _, path := range paths {
		err = errors.Join(err, s.open(path))
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("host: %w", err)
	}
	return s, nil
}

func (s *Segments) open(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	s.Files = append(s.Files, f)
	info, err := f.Stat()
	if err != nil {
		return err
	}
	s.sizes = append(s.sizes, info.Size())
	s.Bytes += info.Size()
	return nil
}

// Close closes the files.
func (s *Segments) Close() {
	for _, f := range s.Files {
		_ = f.Close()
	}
}

// piece is a range of one file.
type piece struct {
	file      *os.File
	offset, n int64
}

// pieces are the parts of a range of the log, file by file.
func (s *Segments) pieces(from, to int64) (all []piece) {
	for i, size := range s.sizes {
		if start, end := max(from, 0), min(to, size); start < end {
			all = append(all, piece{s.Files[i], start, end - start})
		}
		from, to = from-size, to-size
	}
	return all
}

// Cached is how many bytes of a range of the log the page cache holds. known is false where the kernel or the file system
// cannot tell (cachestat(2) is Linux 6.5).
func (s *Segments) Cached(from, to int64) (bytes int64, known bool) {
	known = true
	for _, p := range s.pieces(from, to) {
		pages, ok := cachestat.Pages(int(p.file.Fd()), p.offset, p.n)
		bytes += min(pages*int64(os.Getpagesize()), p.n)
		known = known && ok
	}
	return bytes, known
}

// Read reads a range of the log, so that the page cache holds it as if it had just been written.
func (s *Segments) Read(from, to int64) error {
	for _, p := range s.pieces(from, to) {
		n, err := io.Copy(io.Discard, struct{ io.Reader }{io.NewSectionReader(p.file, p.offset, p.n)})
		if err == nil && n < p.n {
			err = errors.New("it is shorter than it was")
		}
		if err != nil {
			return fmt.Errorf("host: reading %s: %w", p.file.Name(), err)
		}
	}
	return nil
}

// Drop makes the log cold: it writes the files back and asks the kernel to drop their pages, for up to 3 s, since the
// kernel keeps pages that are still in a socket's queue. It returns how many bytes are still cached.
func (s *Segments) Drop() (cached int64, err error) {
	for deadline := time.Now().Add(3 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		for _, f := range s.Files {
			if err := unix.Fdatasync(int(f.Fd())); err != nil {
				return 0, fmt.Errorf("host: writing back %s: %w", f.Name(), err)
			}
			if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
				return 0, fmt.Errorf("host: dropping %s from the page cache: %w", f.Name(), err)
			}
		}
		cached, known := s.Cached(0, s.Bytes)
		if !known || cached == 0 || time.Now().After(deadline) {
			return cached, nil
		}
	}
}
