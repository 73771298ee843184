package group

import (
	"encoding/binary"
	"fmt"
)

// maxValueVersion is the latest supported version of a value, and the first flexible one (KIP-482).
const maxValueVersion = 4

// decodeValue decodes a value by kmsg, after walk has validated it. kmsg trusts the count of tags, and would look for four
// billion of them in a value of a hundred bytes.
func decodeValue(value []byte, into interface{ ReadFrom([]byte) error }, walk func(*flexible)) error {
	f := &flexible{rest: value, ok: true}
	version := int16(-1)
	if f.skip(2); f.ok {
		version = int16(binary.BigEndian.Uint16(value))
	}
	if version == maxValueVersion { // earlier ones have no tags
		walk(f)
	}
	if !f.ok || version < 0 || version > maxValueVersion {
		return fmt.Errorf("it has a version above %d, or is cut short: %d bytes", maxValueVersion, len(value))
	}
	return into.ReadFrom(value)
}

// flexible walks over the fields of a flexible version.
type flexible struct {
	rest []byte
	ok   bool
}

func (f *flexible) skip(n uint64) {
	if f.ok = f.ok && n <= uint64(len(f.rest)); f.ok {
		f.rest = f.rest[n:]
	}
}

func (f *flexible) uvarint() uint64 {
	v, n := binary.Uvarint(f.rest)
	if f.ok = f.ok && n > 0; !f.ok {
		return 0
	}
	f.rest = f.rest[n:]
	return v
}

// text walks over a string or bytes, encoded with the length plus one; 0 is null.
func (f *flexible) text() {
	if n := f.uvarint(); n > 0 {
		f.skip(n - 1)
	}
}

func (f *flexible) tags() {
	for n := f.uvarint(); n > 0 && f.ok; n-- {
		f.uvarint()
		f.skip(f.uvarint())
	}
}

// offsetValue walks over OffsetCommitValue.
func (f *flexible) offsetValue() {
	f.skip(8 + 4) // offset, leader epoch
	f.text()      // metadata
	f.skip(8)     // commit timestamp
	f.tags()
}

// groupValue walks over GroupMetadataValue.
func (f *flexible) groupValue() {
	f.text()  // protocol type
	f.skip(4) // generation
	f.text()  // protocol
	f.text()  // leader
	f.skip(8) // timestamp
	for n := f.uvarint(); n > 1 && f.ok; n-- {
		for range 4 { // ids of the member, its instance and client; host
			f.text()
		}
		f.skip(4 + 4) // timeouts
		f.text()      // subscription
		f.text()      // assignment
		f.tags()
	}
	f.tags()
}
