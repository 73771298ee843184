package segment

import (
	"errors"
	"fmt"
	"io"

	"oneplusn/segment/mark"
	"oneplusn/segment/records"
)

// view is a search in one segment. The same search runs on the loop, where it reads only resident pages, and off it, where it
// waits for the disk; the result is the same.
type view struct {
	file File
	path string
	base int64
	// visible is the end of the last batch that can be read.
	visible int64
	index   *index
	// tailFrom is the position from which the index knows every batch, or visible.
	tailFrom int64
	*scratch
}

// scratch is memory for headers and index entries.
type scratch struct {
	// waits: reads may wait for a disk.
	waits bool
	// headers holds headersLen bytes of a file from headersAt on.
	headers               [4096 + records.HeaderSize]byte
	headersAt, headersLen int64
	looked                int // batches, in this search
	indexBytes            [(indexStride + 2) * indexEntryBytes]byte
	entries               [indexStride + 2]indexEntry
}

// maxLooked bounds the batches that a search on the loop looks at. An index interval of the default size has fewer; a longer one
// makes searches longer, but off the loop.
const maxLooked = 512

func (s *Segment) view(sc *scratch) view {
	sc.headersLen, sc.looked = 0, 0
	v := view{s.file, s.path, s.base, s.visible, &s.index, s.visible, sc}
	if len(s.index.tail) > 0 {
		v.tailFrom = min(int64(s.index.tail[0].position), s.visible)
	}
	return v
}

// read reads the resident start of a piece of a file, or waits for all of it.
func (sc *scratch) read(f File, b []byte, at int64) (int, error) {
	if !sc.waits {
		return f.ReadResident(b, at), nil
	}
	n, err := f.ReadAt(b, at)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// header reads the header of the batch at a position.
func (v *view) header(at int64) (records.Batch, error) {
	if v.looked++; v.looked > maxLooked && !v.waits {
		mark.Hit("a read had too many batches to look at on the loop")
		return records.Batch{}, ErrCold
	}
	if v.visible-at < records.HeaderSize {
		return records.Batch{}, damaged(v.path, at, records.ErrShort)
	}
	if at < v.headersAt || at+records.HeaderSize > v.headersAt+v.headersLen {
		n, err := v.read(v.file, v.headers[:min(int64(len(v.headers)), v.visible-at)], at)
		if v.headersAt, v.headersLen = at, int64(n); n < records.HeaderSize {
			return records.Batch{}, v.missing(at, err)
		}
	}
	h, err := records.ParseBatch(v.headers[at-v.headersAt : v.headersLen])
	if err == nil && int64(h.Size()) > v.visible-at {
		err = records.ErrMalformed
	}
	if err != nil {
		return records.Batch{}, damaged(v.path, at, err)
	}
	return h, nil
}

// missing is the error for committed bytes that could not be read.
func (v *view) missing(at int64, err error) error {
	if !v.waits {
		mark.Hit("a read on the loop met a header that is not in the page cache")
		return ErrCold
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	mark.Hit("a read off the loop failed")
	return fmt.Errorf("%w: reading %s at %d: %w", ErrStorage, v.path, at, err)
}

// find finds the start and the end of a read: see [Log.Read].
func (v *view) find(offset, maxBytes int64) (start, end int64, err error) {
	start, firstEnd, err := v.start(max(offset, v.base))
	if err == nil {
		end, err = v.end(start, firstEnd, maxBytes)
	}
	return start, end, err
}

// start is the start of the first batch that ends at the offset or later. firstEnd is its end, or 0 if that is not known yet.
func (v *view) start(offset int64) (start, firstEnd int64, err error) {
	p := v.index.find(relative(offset, v.base), v.visible, v.scratch)
	if p.exact {
		return p.from, p.end, nil
	}
	if offset == v.base {
		return 0, 0, nil // no batch is below it
	}
	if p.coarse && !v.waits {
		mark.Hit("a read on the loop met an index that is not in the page cache")
		return 0, 0, ErrCold
	}
	at := p.from
	for at < p.lastStart {
		h, err := v.header(at)
		if err != nil {
			return 0, 0, err
		}
		if h.NextOffset() > offset {
			return at, at + int64(h.Size()), nil
		}
		at += int64(h.Size())
	}
	if at != p.lastStart || at >= v.visible {
		return 0, 0, damaged(v.path, at, fmt.Errorf("%w: no batch has offset %d", errIndex, offset))
	}
	return at, 0, nil
}

// end is the end of a range that begins at start: the last boundary within maxBytes that the index knows or, if it knows none,
// the last one there, but not before the end of the first batch.
func (v *view) end(start, firstEnd, maxBytes int64) (int64, error) {
	limit := start + min(maxBytes, v.visible)
	if v.visible <= limit {
		return v.visible, nil
	}
	at, coarse := v.index.boundaryBefore(limit, v.scratch)
	if coarse && !v.waits {
		return 0, ErrCold
	}
	var err error
	if len(v.index.tail) == 0 && v.tailFrom <= limit { // the loop's index knew it
		if at, err = v.whole(v.tailFrom, limit); err != nil {
			return 0, err
		}
	}
	if at > start && at <= limit {
		return at, nil
	}
	if firstEnd == 0 {
		h, err := v.header(start)
		if err != nil {
			return 0, err
		}
		firstEnd = start + int64(h.Size())
	}
	return v.whole(firstEnd, limit)
}

// whole walks from a boundary, batch by batch, to the last one that is not above limit.
func (v *view) whole(at, limit int64) (int64, error) {
	for at < limit {
		h, err := v.header(at)
		if err != nil {
			return 0, err
		}
		if at+int64(h.Size()) > limit {
			break
		}
		at += int64(h.Size())
	}
	return at, nil
}

// maxCodecs bounds the batches of a range that a search for a codec looks at. It is more than the loop looks at.
const maxCodecs = 16 << 10

// before is the end of the batches at the start of a range that do not have a codec, at most maxCodecs of them. found: a batch of
// the codec follows.
func (v *view) before(codec records.Codec, start, end int64) (at int64, found bool, err error) {
	at = start
	for n := 0; at < end && n < maxCodecs; n++ {
		h, err := v.header(at)
		if err != nil {
			return 0, false, err
		}
		if h.Attributes.Codec() == codec {
			return at, true, nil
		}
		at += int64(h.Size())
	}
	return at, false, nil
}
