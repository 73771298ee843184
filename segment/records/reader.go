package records

import (
	"fmt"
	"math"
)

// Record is one record of a batch.
type Record struct {
	OffsetDelta    int32
	TimestampDelta int64
	// Key and Value are nil for null. Only a Reader with Contents sets them. They are valid until the next record.
	Key, Value []byte
}

const (
	// MinBytes is the size of the smallest record: its length, attributes, two deltas, the lengths of key and value, and the
	// number of its headers, a byte each. So the bytes of a batch bound its number of records.
	MinBytes = 7
	// windowBytes is the number of inflated bytes held at a time.
	windowBytes = 32 << 10
	// mostVarint is the longest varint: 64 bits in groups of seven; mostVarint32 that of 32 bits.
	mostVarint, mostVarint32 = 10, 5
)

// Reader reads the records of one batch after another. The zero value is ready for Reset.
type Reader struct {
	// Contents makes Next return keys and values. It copies them if the records are compressed.
	Contents bool
	// Large allows zstd windows of up to 128 MiB, for its levels 20 to 22; without it up to 8 MiB.
	Large bool

	codec  Codec
	source inflater // nil if the records are not compressed, or after their end
	buf    []byte   // the payload, or the window
	at     int
	end    int
	window []byte
	// inflated counts the bytes out of source, limit bounds it.
	inflated, limit int64
	ended           bool
	records         int
	left            int // unread bytes of the record
	contents        []byte
	err             error
}

// Reset begins another batch. payload is everything behind the batch's header, and is referenced until Close or the next Reset.
// maxInflatedBytes bounds what compressed records inflate to.
func (r *Reader) Reset(codec Codec, payload []byte, maxInflatedBytes int64) error {
	r.Close()
	r.codec, r.limit = codec, maxInflatedBytes
	r.at, r.end, r.inflated, r.records, r.ended, r.err = 0, 0, 0, 0, false, nil
	if codec == None {
		r.buf, r.end, r.ended = payload, len(payload), true
		return nil
	}
	if r.window == nil {
		r.window = make([]byte, windowBytes)
	}
	r.buf = r.window
	r.source, r.err = open(codec, payload, maxInflatedBytes, r.Large)
	return r.err
}

// Close returns the codec's memory to the pool. The Reader can be used again.
func (r *Reader) Close() {
	if r.source != nil {
		r.source.release()
	}
	r.source, r.buf = nil, nil
	r.at, r.end, r.ended = 0, 0, true
}

// Inflated is the number of bytes read, after inflating.
func (r *Reader) Inflated() int64 {
	if r.codec == None {
		return int64(r.at)
	}
	return r.inflated
}

// Records is the number of records read.
func (r *Reader) Records() int { return r.records }

// Next reads one record. It returns false at the end of the records, and with an error, which is one of the package's.
func (r *Reader) Next(rec *Record) (bool, error) {
	if r.err != nil || !r.need(1) {
		return false, r.err
	}
	if (r.Contents || !r.quick(rec)) && !r.record(rec) {
		if r.err == nil {
			r.err = fmt.Errorf("%w: record %d is cut short", ErrInvalid, r.records)
		}
		return false, r.err
	}
	r.records++
	return true, nil
}

func (r *Reader) record(rec *Record) bool {
	r.left = math.MaxInt
	size, ok := r.varint(mostVarint32)
	if !ok {
		return false
	}
	if size < MinBytes-1 || r.ended && size > int64(r.end-r.at) {
		return r.fail("it says that it has %d bytes, %d are left", size, r.end-r.at)
	}
	r.left = int(size)
	if !r.skip(1) { // attributes, which have no meaning
		return false
	}
	if rec.TimestampDelta, ok = r.varint(mostVarint); !ok {
		return false
	}
	offset, ok := r.varint(mostVarint32)
	if !ok {
		return false
	}
	rec.OffsetDelta = int32(offset)
	if !r.keyAndValue(rec) || !r.headers() {
		return false
	}
	if r.left != 0 {
		return r.fail("%d bytes are left over in it", r.left)
	}
	return true
}

func (r *Reader) keyAndValue(rec *Record) bool {
	r.contents = r.contents[:0]
	key, ok := r.length("key", -1)
	if !ok || !r.content(key, &rec.Key) {
		return false
	}
	value, ok := r.length("value", -1)
	if !ok || !r.content(value, &rec.Value) {
		return false
	}
	if r.source != nil && r.Contents && key > 0 {
		rec.Key = r.contents[:key:key] // the value may have moved it
	}
	return true
}

func (r *Reader) headers() bool {
	n, ok := r.varint(mostVarint32)
	if !ok {
		return false
	}
	if n < 0 || n > int64(r.left/2) {
		return r.fail("it says that it has %d headers in %d bytes", n, r.left)
	}
	for range n {
		key, ok := r.length("header's key", 0)
		if !ok || !r.skip(key) {
			return false
		}
		value, ok := r.length("header's value", -1)
		if !ok || !r.skip(value) {
			return false
		}
	}
	return true
}

func (r *Reader) length(what string, least int64) (int, bool) {
	n, ok := r.varint(mostVarint32)
	if !ok {
		return 0, false
	}
	if n < least || n > int64(r.left) {
		return 0, r.fail("its %s says that it has %d bytes, %d are left", what, n, r.left)
	}
	return int(n), true
}

// content reads or skips a field of n bytes, -1 for null.
func (r *Reader) content(n int, field *[]byte) bool {
	*field = nil
	switch {
	case !r.Contents:
		return r.skip(n)
	case n < 0:
		return true
	case r.source == nil:
		*field = r.buf[r.at : r.at+n : r.at+n]
		return r.skip(n)
	}
	if r.contents == nil {
		r.contents = []byte{} // an empty field is not null
	}
	start := len(r.contents)
	for n > 0 {
		if !r.need(1) {
			return false
		}
		piece := min(n, r.end-r.at)
		r.contents = append(r.contents, r.buf[r.at:r.at+piece]...)
		n -= piece
		if !r.skip(piece) {
			return false
		}
	}
	*field = r.contents[start:len(r.contents):len(r.contents)]
	return true
}
