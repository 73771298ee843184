package wire

import (
	"encoding/binary"
	"fmt"
)

// cursor reads big-endian fields off the front of a frame. A read that is not covered by the bytes that are left fails,
// and so does every one after it; the caller checks once at the end. It does not allocate.
type cursor struct {
	left    []byte
	failed  bool
	tooMany bool // failed for a number of partitions above MaxPartitions
	noRoom  bool // failed for a number of partitions above the caller's limit
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.left) {
		c.failed = true
		c.left = nil
		return nil
	}
	b := c.left[:n:n]
	c.left = c.left[n:]
	return b
}

func (c *cursor) int8() int8 {
	if b := c.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (c *cursor) int16() int16 {
	if b := c.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if b := c.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (c *cursor) int64() int64 {
	if b := c.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// nullableString is nil for null.
func (c *cursor) nullableString() []byte {
	n := c.int16()
	if n == -1 || c.failed {
		return nil
	}
	return c.take(int(n))
}

// string fails on null.
func (c *cursor) string() []byte { return c.take(int(c.int16())) }

// nullableBytes is nil for null.
func (c *cursor) nullableBytes() []byte {
	n := c.int32()
	if n == -1 || c.failed {
		return nil
	}
	return c.take(int(n))
}

// count reads the length of an array whose elements take at least minBytes each, and fails if they could not be there.
// Null is an empty array.
func (c *cursor) count(minBytes int) int {
	n := int(c.int32())
	if n == -1 {
		return 0
	}
	if n < 0 || n > len(c.left)/minBytes {
		c.failed = true
		return 0
	}
	return n
}

// tags skips the tagged fields of KIP-482.
func (c *cursor) tags() {
	for n := c.uvarint(); n > 0 && !c.failed; n-- {
		c.uvarint()
		c.take(c.uvarint())
	}
}

// uvarint reads at most 5 bytes, the largest encoding of 32 bits.
func (c *cursor) uvarint() int {
	v, n := binary.Uvarint(c.left[:min(len(c.left), 5)])
	if n <= 0 || v > 1<<31-1 {
		c.failed = true
		return 0
	}
	c.left = c.left[n:]
	return int(v)
}

// room fails if n more partitions than the have that were read are more than allowed, or than there is room for.
func (c *cursor) room(have, n, limit int) {
	switch {
	case have+n > MaxPartitions:
		c.failed, c.tooMany = true, true
	case have+n > limit && limit > 0:
		c.noRoom = true
	}
}

func (c *cursor) err(what string) error {
	if c.tooMany {
		return fmt.Errorf("%w: more than %d partitions in a %s", ErrTooManyPartitions, MaxPartitions, what)
	}
	return fmt.Errorf("%w: the %s is cut short, or a length in it lies", ErrFrameMalformed, what)
}
