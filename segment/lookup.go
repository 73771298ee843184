package segment

import (
	"errors"
	"fmt"

	"oneplusn/segment/mark"
	"oneplusn/segment/records"
)

// Lookup repeats, with the disk, a search of [Log.Read] or [Log.Before] that was cold. It holds its segment until Release.
type Lookup struct {
	segment          *Segment
	offset, maxBytes int64
	codec            records.Codec // what [Log.Before] is about, or records.None
	view             view          // without scratch memory until it runs
	index            index
	// The result: the range, and the end of its part before the first batch of the codec.
	start, end, before int64
	found              bool
	err                error
	ran, released      bool
}

// Lookup makes the lookup for a [Log.Read] with the same arguments and, with a codec other than None, for [Log.Before] of its
// range. The offset must be within the log's range.
func (l *Log) Lookup(offset, maxBytes int64, codec records.Codec) *Lookup {
	s, err := l.segmentOf(offset)
	if err != nil {
		panic("segment: a lookup of an offset that is out of range: " + err.Error())
	}
	s.Retain()
	k := &Lookup{segment: s, offset: offset, maxBytes: maxBytes, codec: codec}
	k.view = s.view(&l.scratch)
	k.view.scratch = nil
	// Existing entries never change, the tail does: so only the entries are shared.
	k.index = index{interval: s.index.interval, entries: s.index.entries, file: s.index.file, count: s.index.count}
	k.view.index = &k.index
	return k
}

// Segment is the segment that it searches.
func (k *Lookup) Segment() *Segment { return k.segment }

// Run makes the search. It may block. Any goroutine may call it, once.
func (k *Lookup) Run() {
	if k.ran || k.released {
		panic(fmt.Sprintf("segment: the lookup of offset %d of %s runs again, or after its release (%v)", k.offset, k.segment.path, k.released))
	}
	k.ran = true
	k.view.scratch = &scratch{waits: true}
	defer func() { k.view.scratch = nil }()
	if r, ok := k.view.file.(*evictableFile); ok {
		if _, k.err = r.get(); k.err != nil {
			return
		}
	}
	k.start, k.end, k.err = k.view.find(k.offset, k.maxBytes)
	if k.before = k.end; k.err == nil && k.codec != records.None {
		k.before, k.found, k.err = k.view.before(k.codec, k.start, k.end)
	}
}

// Release releases the segment, once. The result stays valid.
func (k *Lookup) Release() {
	if k.released {
		panic(fmt.Sprintf("segment: the lookup of offset %d of %s is released twice", k.offset, k.segment.path))
	}
	k.released = true
	k.segment.Release()
}

// Looked is [Log.Read] with the result of a lookup. If that answers another question, or the log has changed since, it calls Read.
func (l *Log) Looked(k *Lookup, offset, maxBytes int64) (Range, error) {
	s, err := l.segmentOf(offset)
	if err != nil {
		return Range{}, err
	}
	if s != k.segment || offset != k.offset || maxBytes > k.maxBytes {
		mark.Hit("a log changed while a place in it was looked up")
		return l.Read(offset, maxBytes)
	}
	if !k.ran {
		panic(fmt.Sprintf("segment: the lookup of offset %d of %s is used before it ran", offset, s.path))
	}
	if k.err != nil {
		return Range{}, k.err
	}
	if maxBytes < k.maxBytes && k.end-k.start > maxBytes {
		mark.Hit("a lookup found more than there is room for now")
		return l.Read(offset, maxBytes)
	}
	l.lastRead = lastRead{offset, maxBytes, s.span(k.start, k.end)}
	return l.lastRead.found, nil
}

// ReadBlocking is [Log.Read], but waits for the disk.
func (l *Log) ReadBlocking(offset, maxBytes int64) (Range, error) {
	r, err := l.Read(offset, maxBytes)
	if !errors.Is(err, ErrCold) {
		return r, err
	}
	k := l.Lookup(offset, maxBytes, records.None)
	defer k.Release()
	k.Run()
	return l.Looked(k, offset, maxBytes)
}

// Before is the part of a range before its first batch of a codec, at most maxCodecs batches; found: such a batch follows. If the
// answer needs the disk and the lookup, which may be nil, does not have it, the error is [ErrCold].
func (l *Log) Before(codec records.Codec, r Range, k *Lookup) (before Range, found bool, err error) {
	if l.closed {
		return Range{}, false, l.closedError()
	}
	if codec := uint(codec); r.Segment.codecs&(1<<codec|unknownCodecs) == 0 {
		return r, false, nil
	}
	if k != nil && k.err == nil && k.segment == r.Segment && k.codec == codec && k.start == r.Pos && k.end == r.Pos+r.Len {
		return r.Segment.span(r.Pos, k.before), k.found, nil
	}
	v := r.Segment.view(&l.scratch)
	at, found, err := v.before(codec, r.Pos, r.Pos+r.Len)
	if err != nil {
		return Range{}, false, err
	}
	return r.Segment.span(r.Pos, at), found, nil
}
