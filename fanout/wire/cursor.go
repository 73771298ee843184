package wire

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// cursor reads big-endian fields from the front of a frame. A read beyond the remaining bytes fails, and so does every
// read after it; the caller checks once at the end. It does not allocate.
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

// number takes the n bytes of a number, or zeros if that fails.
func (c *cursor) number(n int) []byte {
	if b := c.take(n); b != nil {
		return b
	}
	return zeros[:n]
}

var zeros [8]byte

func (c *cursor) int8() int8   { return int8(c.number(1)[0]) }
func (c *cursor) int16() int16 { return int16(binary.BigEndian.Uint16(c.number(2))) }
func (c *cursor) int32() int32 { return int32(binary.BigEndian.Uint32(c.number(4))) }
func (c *cursor) int64() int64 { return int64(binary.BigEndian.Uint64(c.number(8))) }

// string fails on null.
func (c *cursor) string() []byte { return c.take(int(c.int16())) }

// nullableString and nullableBytes are nil for null.
func (c *cursor) nullableString() []byte { return c.nullable(int(c.int16())) }
func (c *cursor) nullableBytes() []byte  { return c.nullable(int(c.int32())) }

func (c *cursor) nullable(n int) []byte {
	if n == -1 || c.failed {
		return nil
	}
	return c.take(n)
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

// room fails if have+n exceeds MaxPartitions, or the limit of a receiver that has one.
func (c *cursor) room(have, n, limit int) {
	switch {
	case have+n > MaxPartitions:
		c.failed, c.tooMany = true, true
	case have+n > limit && limit > 0:
		c.noRoom = true
	}
}

// minTopicBytes is the size of the smallest topic: the length of its name, and the number of its partitions.
const minTopicBytes = 2 + 4

// partitions reads an array of topics and appends the result of read for each partition to list; n is the number of partitions
// of the topic, and i counts them. A partition takes at least minBytes. named is their total; those beyond room are only
// counted.
func partitions[P any](c *cursor, list []P, room, minBytes int, read func(topic []byte, i, n int) P) (_ []P, named int) {
	for topics := c.count(minTopicBytes); topics > 0 && !c.failed; topics-- {
		name := c.string()
		n := c.count(minBytes)
		c.room(named, n, room)
		named += n
		if !c.failed && !c.noRoom {
			list = slices.Grow(list, n)
		}
		for i := 0; i < n && !c.failed; i++ {
			if p := read(name, i, n); !c.noRoom {
				list = append(list, p)
			}
		}
	}
	return list, named
}

// err is the error of a request, or nil.
func (c *cursor) err(what string) error {
	switch {
	case c.tooMany:
		return fmt.Errorf("%w: more than %d partitions in a %s", ErrTooManyPartitions, MaxPartitions, what)
	case c.failed:
		return fmt.Errorf("%w: the %s is cut short, or a length in it lies", ErrFrameMalformed, what)
	case c.noRoom:
		return ErrNoRoom
	}
	return nil
}
