package records

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/s2"
)

// xerialMagic begins snappy-java's framing: the magic, two version numbers of four bytes, then blocks with their size in front.
// Other clients send one block without framing.
var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const (
	xerialHeader = 16
	// keptBlock is the largest block whose memory is pooled, so that inflating on a server's loop allocates nothing.
	keptBlock = 256 << 10
)

// snappyReader inflates blocks one by one.
type snappyReader struct {
	rest   []byte // blocks to inflate
	framed bool
	limit  int64
	memory []byte
	block  []byte // the unread part of the last block
}

var snappies = sync.Pool{New: func() any { return new(snappyReader) }}

func openSnappy(payload []byte, limit int64) (inflater, error) {
	s := snappies.Get().(*snappyReader)
	s.rest, s.limit, s.block = payload, limit, nil
	if s.framed = bytes.HasPrefix(payload, xerialMagic); s.framed {
		if len(payload) < xerialHeader {
			s.release()
			return nil, fmt.Errorf("%w: the Snappy header has %d of %d bytes", ErrInvalid, len(payload), xerialHeader)
		}
		s.rest = payload[xerialHeader:]
	}
	return s, nil
}

func (s *snappyReader) release() {
	memory := s.memory
	if cap(memory) > keptBlock {
		memory = nil
	}
	*s = snappyReader{memory: memory}
	snappies.Put(s)
}

func (s *snappyReader) Read(b []byte) (int, error) {
	for len(s.block) == 0 {
		if len(s.rest) == 0 {
			return 0, io.EOF
		}
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, s.block)
	s.block = s.block[n:]
	return n, nil
}

func (s *snappyReader) next() error {
	block := s.rest
	s.rest = nil
	if s.framed {
		if len(block) < 4 {
			return fmt.Errorf("%w: %d bytes are left behind the last Snappy block", ErrInvalid, len(block))
		}
		size := binary.BigEndian.Uint32(block)
		if block = block[4:]; int64(size) > int64(len(block)) {
			return fmt.Errorf("%w: a Snappy block says that it has %d bytes, %d are left", ErrInvalid, size, len(block))
		}
		s.rest, block = block[size:], block[:size]
	}
	size, err := snappySize(block)
	if err != nil {
		return err
	}
	if size > s.limit {
		return fmt.Errorf("%w: a Snappy block of %d bytes, the limit is %d", ErrTooLarge, size, s.limit)
	}
	if int64(cap(s.memory)) < size {
		s.memory = make([]byte, size)
	}
	s.block, err = s2.Decode(s.memory[:size], block)
	return err
}

// The kinds of elements of a Snappy block, in the low two bits of their first byte.
const (
	snappyLiteral = iota
	snappyCopy1   // the number says how many bytes the offset has, but for the last
	snappyCopy2
	snappyCopy4
)

// snappySize walks over the elements of a Snappy block and returns their inflated size. It refuses what the format of 2011 does not
// have and the decoder accepts: S2 gives a meaning to an offset of 0.
func snappySize(block []byte) (int64, error) {
	said, n := binary.Uvarint(block)
	if n <= 0 || n > mostVarint32 || said > 1<<32-1 {
		return 0, fmt.Errorf("%w: a Snappy block has no valid size", ErrInvalid)
	}
	size := int64(0)
	for at := n; at < len(block); {
		length, offset, used := snappyElement(block[at:])
		if used == 0 || offset > size || offset == 0 && block[at]&3 != snappyLiteral {
			return 0, fmt.Errorf("%w: byte %d of a Snappy block", ErrInvalid, at)
		}
		at += used
		size += length
	}
	if size != int64(said) {
		return 0, fmt.Errorf("%w: a Snappy block says that it inflates to %d bytes, and it is %d", ErrInvalid, said, size)
	}
	return size, nil
}

// snappyElement decodes an element: the number of bytes that it stands for, the distance that they are copied from, and its own size,
// or 0 if it is cut short.
func snappyElement(b []byte) (length, offset int64, used int) {
	tag := b[0]
	const longLiteral = 60 // its length is in 1 to 4 bytes of its own
	used = 1 + [...]int{max(int(tag>>2)-longLiteral+1, 0), 1, 2, 4}[tag&3]
	if len(b) < used {
		return 0, 0, 0
	}
	number := int64(0)
	for i := used - 1; i > 0; i-- {
		number = number<<8 | int64(b[i])
	}
	length = int64(tag>>2) + 1
	switch tag & 3 {
	case snappyLiteral:
		if used > 1 {
			length = number + 1
		}
		if length > int64(len(b)-used) {
			return 0, 0, 0
		}
		return length, 0, used + int(length)
	case snappyCopy1:
		return int64(tag>>2&7) + 4, int64(tag>>5)<<8 | number, used
	}
	return length, number, used
}
