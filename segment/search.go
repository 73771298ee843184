package segment

import (
	"errors"
	"fmt"
	"io"

	"oneplusn/segment/records"
)

// view is a segment as a search for a place in it sees it. The same search runs on the loop, where it reads resident pages
// alone, and off it, where it waits for the disk: what it finds is the same.
type view struct {
	file File
	path string
	base int64
	// visible is where the last batch ends that can be read.
	visible int64
	index   *index
	// tailFrom is where the batches begin every one of which the index knows, or visible.
	tailFrom int64
	*scratch
}

// scratch is where headers and entries of an index are read to.
type scratch struct {
	// waits says that reads may wait for a disk.
	waits bool
	// headers holds the bytes of a file from headersAt on, as many as headersLen.
	headers               [4096 + records.HeaderSize]byte
	headersAt, headersLen int64
	looked                int // batches, in this search
	indexBytes            [(indexStride + 2) * indexEntryBytes]byte
	entries               [indexStride + 2]indexEntry
}

// maxLooked is how many batches a search on the loop looks at. Between two entries of an index are as many as it takes to
// fill an interval; who sets a long one has long searches, but off the loop.
const maxLooked = 512

func (s *Segment) view(sc *scratch) view {
	sc.headersLen, sc.looked = 0, 0
	v := view{s.file, s.path, s.base, s.visible, &s.index, s.visible, sc}
	if len(s.index.tail) > 0 {
		v.tailFrom = min(int64(s.index.tail[0].position), s.visible)
	}
	return v
}

// read reads what is resident of n bytes of a file, or waits for what there is.
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

// header is that of the batch at a position.
func (v *view) header(at int64) (records.Batch, error) {
	if v.looked++; v.looked > maxLooked && !v.waits {
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

// missing is why bytes that were committed could not be read.
func (v *view) missing(at int64, err error) error {
	if !v.waits {
		return ErrCold
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: reading %s at %d: %w", ErrStorage, v.path, at, err)
}

// find is where a read begins and where it ends: see [Log.Read].
func (v *view) find(offset, maxBytes int64) (start, end int64, err error) {
	start, firstEnd, err := v.start(max(offset, v.base))
	if err == nil {
		end, err = v.end(start, firstEnd, maxBytes)
	}
	return start, end, err
}

// start is where the first batch begins whose last offset is the one given, or a later one. firstEnd is where it ends, or 0
// as long as nobody has looked.
func (v *view) start(offset int64) (start, firstEnd int64, err error) {
	p := v.index.find(relative(offset, v.base), v.visible, v.scratch)
	if p.exact {
		return p.from, p.end, nil
	}
	if offset == v.base {
		return 0, 0, nil // no batch is below it
	}
	if p.coarse && !v.waits {
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

// end is where a range ends that begins at start: at the last boundary within maxBytes that the index knows, or where it
// knows none, at the last one there is, but not before the end of the first batch.
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

// whole goes from one boundary on, batch by batch, to the last one that is not above limit.
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

// maxCodecs is how many batches of a range are looked at in search of one of some codec. It is more than the loop looks at.
const maxCodecs = 16 << 10

// before is the end of the batches at the start of a range that are not of a codec. Of a range of more than maxCodecs
// batches it is no later than the end of so many. found says that a batch of the codec is what follows.
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
