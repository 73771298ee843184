package segment

import (
	"errors"
	"fmt"
	"io/fs"

	"oneplusn/segment/records"
)

// inspect reads the index files of a segment, and the batches behind their last entry, to find the segment's end. The error
// says why the index cannot be used.
func (s *Segment) inspect(size int64, last bool) (indexState, error) {
	x := newIndex(s.index.interval)
	err := s.readIndexFiles(&x, size)
	if err == nil {
		err = s.inspectTail(&x, size)
	}
	if err == nil {
		_, err = s.firstTimestamp(size)
	}
	if err != nil {
		return stateOf(err, size == 0)
	}
	s.size = size
	s.capacity, s.codecs = max(s.capacity, size), unknownCodecs
	if !last {
		file, err := s.fs.Open(beside(s.path, indexSuffix), ReadOnly)
		if err != nil {
			return indexWrong, err
		}
		x.toFile(file, summarize(x.entries), len(x.entries))
	}
	s.index = x
	return indexSane, nil
}

// stateOf is the state of index files by the error of their check. An empty segment needs none.
func stateOf(err error, empty bool) (indexState, error) {
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case err == nil, missing && empty:
		return indexSane, nil
	case missing:
		return indexMissing, err
	}
	return indexWrong, err
}

func (s *Segment) readIndexFiles(x *index, size int64) error {
	content, err := ReadFile(s.fs, beside(s.path, indexSuffix))
	if err != nil {
		return err
	}
	if x.entries, err = parseIndex(content, size); err != nil {
		return err
	}
	if content, err = ReadFile(s.fs, beside(s.path, timeIndexSuffix)); err != nil {
		return err
	}
	if x.times, err = parseTimeIndex(content); err != nil {
		return err
	}
	if n := len(x.times); n > 0 {
		x.maxTimestamp, x.maxOffset = x.times[n-1].timestamp, x.times[n-1].offset
	}
	return nil
}

// inspectTail walks over the batches from the last entry to the end of the segment. An interval may have twice its length:
// Kafka restarts the count when it opens a segment again.
func (s *Segment) inspectTail(x *index, size int64) error {
	entry, from := indexEntry{}, int64(0)
	if n := len(x.entries); n > 0 {
		entry, from = x.entries[n-1], int64(x.entries[n-1].position)
	}
	s.next = s.base
	var wrong error
	err := walkFile(s.file, size, s.base, from, func(h records.Batch, at int64) bool {
		if at == from && len(x.entries) > 0 && h.LastOffset()-s.base != int64(entry.offset) {
			wrong = fmt.Errorf("%w: its last entry is for offset %d, the batch there has %d", errIndex, s.base+int64(entry.offset), h.LastOffset())
			return false
		}
		if at-from > 2*x.interval {
			wrong = fmt.Errorf("%w: it is short, the last entry is for %d and a batch begins at %d", errIndex, from, at)
			return false
		}
		if h.MaxTimestamp > x.maxTimestamp {
			x.maxTimestamp, x.maxOffset = h.MaxTimestamp, relative(h.LastOffset(), s.base)
		}
		x.tail = append(x.tail, tailBatch{relative(h.BaseOffset, s.base), relative(h.LastOffset(), s.base), uint32(at)})
		s.next = h.NextOffset()
		return true
	})
	if err == nil {
		err = wrong
	}
	if err == nil && len(x.times) > 0 && s.base+int64(x.times[len(x.times)-1].offset) >= s.next {
		err = fmt.Errorf("%w: its last time entry has an offset behind the end of the segment", errIndex)
	}
	return err
}
