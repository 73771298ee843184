package segment

import (
	"bytes"
	"encoding/binary"
	"testing"

	"oneplusn/segment/records"
)

// offsetIn gives a batch that was encoded another base offset, which no CRC covers.
func offsetIn(raw []byte, base int64) []byte {
	raw = bytes.Clone(raw)
	binary.BigEndian.PutUint64(raw, uint64(base))
	return raw
}

// carrier is three plain batches, and one whose value holds whole batches, as those of a mirror or a backup do.
func carrier(inner int64) (plain, outer []byte) {
	for i := range int64(3) {
		plain = append(plain, testBatch{base: i, value: 20}.encode()...)
	}
	payload := bytes.Repeat([]byte{2}, 70)
	for i := range int64(3) { // batches that follow each other, as a copied piece of a log has them
		payload = append(payload, offsetIn(testBatch{value: 40}.encode(), inner+i)...)
	}
	payload = append(payload, bytes.Repeat([]byte{2}, 100)...)
	return plain, testBatch{base: 3, payload: payload}.encode()
}

// The offsets of the batches within are those that a mirror has: far away, the same, or just those that are due next.
func TestTornBatchThatHoldsWholeBatchesIsATornTail(t *testing.T) {
	for _, inner := range []int64{0, 2, 3, 4, 5, 9, 1 << 40} {
		plain, outer := carrier(inner)
		for n := 1; n < len(outer); n++ {
			file := append(bytes.Clone(plain), outer[:n]...)
			v := scanFile(bytes.NewReader(file), int64(len(file)), 0, func(records.Batch, int64) {})
			if v.damage != tornTail || v.nextOffset != 3 || v.validBytes != int64(len(plain)) {
				t.Fatalf("inner offset %d, %d of %d bytes: %s at %d", inner, n, len(outer), v.damage, v.validBytes)
			}
		}
		// All of it is there but for some bytes of the page that was not written.
		for at := records.HeaderSize; at+8 <= len(outer); at += 8 {
			file := append(bytes.Clone(plain), outer...)
			hole := file[len(plain)+at:][:8]
			if bytes.Equal(hole, make([]byte, 8)) {
				continue
			}
			clear(hole)
			v := scanFile(bytes.NewReader(file), int64(len(file)), 0, func(records.Batch, int64) {})
			if v.damage != tornTail {
				t.Fatalf("inner offset %d, a hole at %d: %s", inner, at, v.damage)
			}
			// With a batch behind it there is something to lose.
			file = append(file, testBatch{base: 4}.encode()...)
			v = scanFile(bytes.NewReader(file), int64(len(file)), 0, func(records.Batch, int64) {})
			if v.damage != interior {
				t.Fatalf("inner offset %d, a hole at %d and a batch behind: %s", inner, at, v.damage)
			}
		}
	}
}

// A length that is wrong swallows what really follows, or ends within it.
func TestWrongLengthDoesNotHideTheBatchesBehind(t *testing.T) {
	for _, inner := range []int64{3, 4, 1 << 40} {
		plain, outer := carrier(inner)
		next := append(testBatch{base: 4, value: 300}.encode(), testBatch{base: 5, value: 5}.encode()...)
		for bit := range 31 {
			file := append(append(bytes.Clone(plain), outer...), next...)
			length := file[len(plain)+8:]
			binary.BigEndian.PutUint32(length, binary.BigEndian.Uint32(length)^1<<bit)
			v := scanFile(bytes.NewReader(file), int64(len(file)), 0, func(records.Batch, int64) {})
			if v.damage != interior || v.validBytes != int64(len(plain)) {
				t.Errorf("inner offset %d, bit %d of the length: %s at %d", inner, bit, v.damage, v.validBytes)
			}
		}
	}
}

// Every byte behind the damage looks like the beginning of a large batch: such a file must not keep a start busy.
func TestScanOfBytesMadeToLookLikeBatchesEnds(t *testing.T) {
	fake := testBatch{base: 3}.encode()[:records.HeaderSize]
	for _, begins := range []string{"with zeros", "with a torn batch"} {
		file, _ := carrier(0)
		if begins == "with zeros" {
			file = append(file, make([]byte, 4096)...)
		} else {
			file = append(file, offsetIn(testBatch{value: 16 << 20}.encode(), 3)[:records.HeaderSize]...)
		}
		const n = 30_000
		for i := range n {
			binary.BigEndian.PutUint64(fake, 4) // what is due behind the torn batch
			binary.BigEndian.PutUint32(fake[8:], uint32((n-i)*records.HeaderSize-records.Overhead))
			file = append(file, fake...)
		}
		r := &countingReader{r: bytes.NewReader(file)}
		v := scanFile(r, int64(len(file)), 0, func(records.Batch, int64) {})
		if v.damage != interior && v.damage != tornTail {
			t.Errorf("%s: %s", begins, v.damage)
		}
		if most := int64(100 * len(file)); r.read > most {
			t.Errorf("%s: %d bytes were read of a file of %d", begins, r.read, len(file))
		}
	}
}

type countingReader struct {
	r    *bytes.Reader
	read int64
}

func (c *countingReader) ReadAt(b []byte, at int64) (int, error) {
	n, err := c.r.ReadAt(b, at)
	c.read += int64(n)
	return n, err
}
