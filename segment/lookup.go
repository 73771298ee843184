package segment

import (
	"errors"
	"fmt"

	"oneplusn/segment/records"
)

// Lookup is the search that [Log.Read] or [Log.Before] could not make, with the disk. It holds its segment until Release.
type Lookup struct {
	segment          *Segment
	offset, maxBytes int64
	codec            records.Codec // what [Log.Before] is about, or records.None
	view             view          // without scratch memory until it runs
	index            index
	// What was found: the range, and what of it is before the first batch of the codec.
	start, end, before int64
	found              bool
	err                error
	ran                bool
}

// Lookup is what [Log.Read] of the same arguments needs from the disk. With a codec other than None it is what [Log.Before] needs
// too. The offset must be one that Read has not found to be out of range.
func (l *Log) Lookup(offset, maxBytes int64, codec records.Codec) *Lookup {
	s, err := l.segmentOf(offset)
	if err != nil {
		panic("segment: a lookup of an offset that is out of range: " + err.Error())
	}
	s.Retain()
	k := &Lookup{segment: s, offset: offset, maxBytes: maxBytes, codec: codec}
	k.view = s.view(&l.scratch)
	k.view.scratch = nil
	// What is on the list of entries stays as it is; the tail does not.
	k.index = index{interval: s.index.interval, entries: s.index.entries, file: s.index.file, count: s.index.count}
	k.view.index = &k.index
	return k
}

// Segment is the segment that is searched.
func (k *Lookup) Segment() *Segment { return k.segment }

// Run makes the search. It may block, and be called from any goroutine, once.
func (k *Lookup) Run() {
	if k.ran {
		panic(fmt.Sprintf("segment: the lookup of offset %d of %s runs again", k.offset, k.segment.path))
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

// Release lets go of the segment. What was found can still be used.
func (k *Lookup) Release() { k.segment.Release() }

// Looked is [Log.Read] with what a lookup has found. Where that is not what is asked for, or the log has changed since, it is
// Read itself.
func (l *Log) Looked(k *Lookup, offset, maxBytes int64) (Range, error) {
	s, err := l.segmentOf(offset)
	if err != nil {
		return Range{}, err
	}
	if s != k.segment || offset != k.offset || maxBytes > k.maxBytes {
		return l.Read(offset, maxBytes)
	}
	if !k.ran {
		panic(fmt.Sprintf("segment: the lookup of offset %d of %s is used before it ran", offset, s.path))
	}
	if k.err != nil {
		return Range{}, k.err
	}
	if maxBytes < k.maxBytes && k.end-k.start > maxBytes {
		return l.Read(offset, maxBytes)
	}
	l.lastRead = lastRead{offset, maxBytes, s.span(k.start, k.end)}
	return l.lastRead.found, nil
}

// ReadBlocking is [Log.Read] that waits for the disk.
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

// Before is the part of a range before its first batch of a codec, and no more than some thousand batches; found says that
// such a batch is what follows. What can't be told without a disk is [ErrCold], unless a lookup, which may be nil, has it.
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
