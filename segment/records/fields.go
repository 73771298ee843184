package records

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// varint reads a zigzag number of at most the given number of bytes.
func (r *Reader) varint(most int) (int64, bool) {
	if r.end-r.at < mostVarint && !r.ended {
		r.need(mostVarint) // or as many as there are
	}
	if r.at < r.end && r.left > 0 && r.buf[r.at] < 0x80 {
		u := int64(r.buf[r.at])
		r.at++
		r.left--
		return u>>1 ^ -(u & 1), true
	}
	v, n := binary.Varint(r.buf[r.at:min(r.end, r.at+most)])
	switch {
	case n == 0 && r.end-r.at < most && r.left >= r.end-r.at:
		return 0, false // the bytes end
	case n <= 0 || most == mostVarint32 && (v < math.MinInt32 || v > math.MaxInt32):
		return 0, r.fail("a number in it has more than %d bytes or bits that overflow", most)
	case n > r.left:
		return 0, r.fail("a number in it goes beyond its end")
	}
	r.at += n
	r.left -= n
	return v, true
}

// skip skips n bytes of the record.
func (r *Reader) skip(n int) bool {
	if n <= 0 {
		return true
	}
	if n > r.left {
		return r.fail("a field of %d bytes goes beyond its end", n)
	}
	r.left -= n
	for n > r.end-r.at {
		n -= r.end - r.at
		r.at = r.end
		if !r.fill() {
			return false
		}
	}
	r.at += n
	return true
}

// need fills the window up to n bytes, if so many follow. n is much smaller than the window.
func (r *Reader) need(n int) bool {
	for r.end-r.at < n {
		if !r.fill() {
			return false
		}
	}
	return true
}

// fill reads more into the window. It returns false at the end, and with an error.
func (r *Reader) fill() bool {
	if r.ended {
		return false
	}
	r.end = copy(r.buf, r.buf[r.at:r.end])
	r.at = 0
	for range maxEmptyReads {
		n, err := r.source.Read(r.buf[r.end:])
		r.end += n
		if r.inflated += int64(n); r.inflated > r.limit {
			return r.endWith(fmt.Errorf("%w: the limit is %d bytes", ErrTooLarge, r.limit))
		}
		switch {
		case err == io.EOF:
			r.ended = true
			return n > 0
		case err != nil:
			return r.endWith(inflateError(r.codec, err))
		case n > 0:
			return true
		}
	}
	return r.endWith(inflateError(r.codec, io.ErrNoProgress))
}

// maxEmptyReads bounds the reads in a row for which a codec has no bytes.
const maxEmptyReads = 100

func (r *Reader) endWith(err error) bool {
	r.ended, r.err = true, err
	return false
}

func (r *Reader) fail(format string, args ...any) bool {
	if r.err == nil {
		r.err = fmt.Errorf("%w: record %d: %s", ErrInvalid, r.records, fmt.Sprintf(format, args...))
	}
	return false
}

func inflateError(codec Codec, err error) error {
	for _, known := range []error{ErrInvalid, ErrTooLarge, ErrWindow, ErrCodec} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: the bytes are not %s: %v", ErrInvalid, codec, err)
}
