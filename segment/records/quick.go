package records

import (
	"encoding/binary"
	"math"
)

// quick reads a record that lies wholly in the window, as almost all do, in a third of record's time. Otherwise, or if anything is
// wrong with the record, it reads nothing and returns false: record then finds the error.
func (r *Reader) quick(rec *Record) bool {
	b := r.buf[r.at:r.end]
	size, at := number(b, 0)
	if size < MinBytes-1 || at < 0 || size > int64(len(b)-at) {
		return false
	}
	b = b[:at+int(size)]
	var offset, n int64
	rec.TimestampDelta, at = number(b, at+1)
	offset, at = number(b, at)
	if at < 0 || offset < math.MinInt32 || offset > math.MaxInt32 {
		return false
	}
	rec.OffsetDelta, rec.Key, rec.Value = int32(offset), nil, nil
	at = field(b, field(b, at, -1), -1) // key and value
	n, at = number(b, at)
	if at < 0 || n < 0 || n > int64(len(b)-at)/2 {
		return false
	}
	for range n {
		if at = field(b, field(b, at, 0), -1); at < 0 {
			return false
		}
	}
	if at != len(b) {
		return false
	}
	r.at += at
	return true
}

// field is the end of a field with its length in front, or -1: if at is -1, too.
func field(b []byte, at int, least int64) int {
	n, at := number(b, at)
	switch {
	case at < 0 || n < least || n > int64(len(b)-at):
		return -1
	case n < 0:
		return at
	}
	return at + int(n)
}

// number decodes a zigzag number and returns its end, or -1 if it is not a short one, or if at is -1.
func number(b []byte, at int) (int64, int) {
	if at >= 0 && at < len(b) && b[at] < 0x80 {
		return int64(b[at]>>1) ^ -int64(b[at]&1), at + 1
	}
	return longNumber(b, at)
}

func longNumber(b []byte, at int) (int64, int) {
	if at < 0 || at >= len(b) {
		return 0, -1
	}
	v, n := binary.Varint(b[at:])
	if n <= 0 || n > mostVarint32 {
		return 0, -1
	}
	return v, at + n
}
