package host

import (
	"errors"
	"fmt"
	"io"
	"os"

	"oneplusn/ring"
)

// SegmentSet is the segment files of a log, open for looking at what the page cache holds of them.
type SegmentSet struct {
	// Bytes is the size of all files together.
	Bytes int64

	files []*os.File
	sizes []int64
}

// OpenSegments opens files in the order of their content.
func OpenSegments(paths []string) (s *SegmentSet, err error) {
	s = new(SegmentSet)
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("host: %w", err)
		}
		s.files = append(s.files, f)
		info, err := f.Stat()
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("host: %w", err)
		}
		s.sizes = append(s.sizes, info.Size())
		s.Bytes += info.Size()
	}
	return s, nil
}

// Close closes the files.
func (s *SegmentSet) Close() {
	for _, f := range s.files {
		_ = f.Close()
	}
}

// each calls f with the pieces of a range of the log, file by file.
func (s *SegmentSet) each(from, to int64, f func(file *os.File, offset, n int64) error) error {
	for i, size := range s.sizes {
		if start, end := max(from, 0), min(to, size); start < end {
			if err := f(s.files[i], start, end-start); err != nil {
				return err
			}
		}
		from, to = from-size, to-size
	}
	return nil
}

// Cached is what the page cache holds of a range of the log.
func (s *SegmentSet) Cached(from, to int64) Cache {
	cache := Cache{Known: true}
	_ = s.each(from, to, func(file *os.File, offset, n int64) error {
		pages, ok := ring.CachedPages(int(file.Fd()), offset, n)
		cache.Bytes += n
		cache.CachedBytes += min(pages*int64(os.Getpagesize()), n)
		cache.Known = cache.Known && ok
		return nil
	})
	return cache
}

// Read reads a range of the log, so that it is in the page cache as if it had just been written.
func (s *SegmentSet) Read(from, to int64) error {
	return s.each(from, to, func(file *os.File, offset, n int64) error {
		got, err := io.Copy(io.Discard, struct{ io.Reader }{io.NewSectionReader(file, offset, n)})
		if err == nil && got < n {
			err = errors.New("it is shorter than it was")
		}
		if err != nil {
			return fmt.Errorf("host: reading %s: %w", file.Name(), err)
		}
		return nil
	})
}
