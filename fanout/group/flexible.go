package group

import "encoding/binary"

// maxValueVersion is the latest version of a value that is read; it is the first flexible one (KIP-482).
const maxValueVersion = 4

// countsFit says whether the counts in a value are ones that its bytes can hold. kmsg believes a count of tags, and would
// look for four thousand million of them in a value of a hundred bytes. Values of versions that are not known don't fit.
func countsFit(value []byte, walk func(*flexible)) bool {
	if len(value) < 2 {
		return false
	}
	switch version := int16(binary.BigEndian.Uint16(value)); {
	case version < 0 || version > maxValueVersion:
		return false
	case version < maxValueVersion:
		return true // it has no tags
	}
	f := &flexible{rest: value[2:], ok: true}
	walk(f)
	return f.ok
}

// flexible goes over the fields of a flexible version.
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

// text goes over a string or bytes, whose length is written as one more; 0 is null.
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

// offsetValue goes over OffsetCommitValue.
func (f *flexible) offsetValue() {
	f.skip(8 + 4) // offset, leader epoch
	f.text()      // metadata
	f.skip(8)     // commit timestamp
	f.tags()
}

// groupValue goes over GroupMetadataValue.
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
