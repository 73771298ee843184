package records

import (
	"encoding/binary"
	"math"
)

// quick reads a record that lies in the window whole, as almost all do, in a third of the time that record takes. It is
// false, and has read nothing, if it does not, or if anything is wrong with it: record then says what.
func (r *Reader) quick(rec *Record) bool {
	b := r.buf[r.at:r.end]
	size, at := number(b, 0)
	if size < MinBytes-1 || at < 0 || size > int64(len(b)-at) {
		return false
	}
	b = b[:at+int(size)]
	var offset, n int64
	rec.TimestampDelta, at = number(b, at+1)
	if at < 0 {
		return false
	}
	offset, at = number(b, at)
	if at < 0 || offset < math.MinInt32 || offset > math.MaxInt32 {
		return false
	}
	rec.OffsetDelta, rec.Key, rec.Value = int32(offset), nil, nil
	for range 2 { // key and value
		if at = field(b, at, -1); at < 0 {
			return false
		}
	}
	n, at = number(b, at)
	if at < 0 || n < 0 || n > int64(len(b)-at)/2 {
		return false
	}
	for range n {
		if at = field(b, at, 0); at < 0 {
			return false
		}
		if at = field(b, at, -1); at < 0 {
			return false
		}
	}
	if at != len(b) {
		return false
	}
	r.at += at
	return true
}

// field is the end of a field with its length in front, -1 if there is none.
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

// number is a zigzag number and where it ends, -1 if there is none that is short enough to be quick.
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
