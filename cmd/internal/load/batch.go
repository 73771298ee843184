package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
)

const (
	batchHeaderBytes = 61
	batchOverhead    = 12
	crcAt, crcFrom   = 17, 21
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Records makes the record batches to publish: uncompressed ones of format 2, filled with records of a fixed size.
type Records struct {
	recordBytes, batchBytes int
	source                  io.Reader
	value                   []byte
	buf                     []byte
}

// NewRecords makes batches of about batchBytes with records of recordBytes, with content from source, or reproducible
// noise if source is nil.
func NewRecords(recordBytes, batchBytes int, source io.Reader) (*Records, error) {
	if recordBytes < 1 || batchBytes < recordBytes+batchHeaderBytes+64 {
		return nil, fmt.Errorf("load: records of %d bytes do not fit batches of %d", recordBytes, batchBytes)
	}
	if source == nil {
		source = rand.NewChaCha8([32]byte{'o', 'n', 'e', '+', 'n'})
	}
	return &Records{recordBytes: recordBytes, batchBytes: batchBytes, source: source, value: make([]byte, recordBytes)}, nil
}

// Next is the next batch and the number of records in it. It is valid until the next call. io.EOF says that the source
// has ended.
func (r *Records) Next(timestampMillis int64) (batch []byte, records int, err error) {
	b := append(r.buf[:0], make([]byte, batchHeaderBytes)...)
	for len(b)+r.recordBytes+32 <= r.batchBytes {
		n, err := io.ReadFull(r.source, r.value)
		if n > 0 {
			b = appendRecord(b, records, r.value[:n])
			records++
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
	}
	r.buf = b
	if records == 0 {
		return nil, 0, io.EOF
	}
	sealBatch(b, records, timestampMillis)
	return b, records, nil
}

// appendRecord appends a record without key and headers.
func appendRecord(b []byte, offsetDelta int, value []byte) []byte {
	var fields [32]byte
	f := append(fields[:0], 0)                             // attributes
	f = append(f, 0)                                       // timestamp delta
	f = binary.AppendVarint(f, int64(offsetDelta))         //
	f = binary.AppendVarint(f, -1)                         // no key
	f = binary.AppendVarint(f, int64(len(value)))          //
	b = binary.AppendVarint(b, int64(len(f)+len(value)+1)) // with the header count behind the value
	b = append(b, f...)
	b = append(b, value...)
	return append(b, 0) // no headers
}

// sealBatch fills in the header of a batch whose records are in place.
func sealBatch(b []byte, records int, timestampMillis int64) {
	binary.BigEndian.PutUint64(b, 0)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-batchOverhead))
	binary.BigEndian.PutUint32(b[12:], 0)
	b[16] = 2
	binary.BigEndian.PutUint16(b[21:], 0)
	binary.BigEndian.PutUint32(b[23:], uint32(records-1))
	binary.BigEndian.PutUint64(b[27:], uint64(timestampMillis))
	binary.BigEndian.PutUint64(b[35:], uint64(timestampMillis))
	for i := 43; i < 57; i++ {
		b[i] = 0xff // no producer id, epoch and sequence
	}
	binary.BigEndian.PutUint32(b[57:], uint32(records))
	binary.BigEndian.PutUint32(b[crcAt:], crc32.Checksum(b[crcFrom:], castagnoli))
}

// checker checks a stream of batches that comes in pieces of any size, as the responses to one fetch after the other. The
// first batch of a response may begin before the offset that was asked for, which it holds.
type checker struct {
	next   int64 // the offset that was asked for, or has to come next
	begins int64 // where the next batch has to begin: before next as long as batches are skipped
	fresh  bool  // no batch of this response has come yet
	header [batchHeaderBytes]byte
	have   int
	left   int // bytes of the current batch that have not come yet
	crc    uint32
	// digest is a checksum over the CRCs of all batches: equal for two subscribers that got the same.
	digest  uint32
	batches int64
}

// ErrWrongBytes says that a subscriber did not get what was published.
var ErrWrongBytes = errors.New("load: a subscriber got wrong bytes")

// asked begins a response.
func (c *checker) asked() { c.fresh = true }

func (c *checker) feed(b []byte) error {
	for len(b) > 0 {
		if c.have < batchHeaderBytes {
			n := copy(c.header[c.have:], b)
			c.have += n
			b = b[n:]
			if c.have == batchHeaderBytes {
				if err := c.begin(); err != nil {
					return err
				}
			}
			continue
		}
		n := min(c.left, len(b))
		c.crc = crc32.Update(c.crc, castagnoli, b[:n])
		c.left -= n
		b = b[n:]
		if c.left == 0 {
			if err := c.end(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) begin() error {
	h := c.header[:]
	base, length := int64(binary.BigEndian.Uint64(h)), int32(binary.BigEndian.Uint32(h[8:]))
	switch {
	case h[16] != 2:
		return fmt.Errorf("%w: at offset %d a batch has magic %d", ErrWrongBytes, c.next, h[16])
	case length < batchHeaderBytes-batchOverhead:
		return fmt.Errorf("%w: at offset %d a batch has length %d", ErrWrongBytes, c.next, length)
	case c.fresh && base < c.next:
		c.begins = base
	case c.fresh:
		c.begins = c.next
	}
	if c.fresh = false; base != c.begins {
		return fmt.Errorf("%w: offset %d came where %d was due", ErrWrongBytes, base, c.begins)
	}
	c.left = int(length) - (batchHeaderBytes - batchOverhead)
	c.crc = crc32.Checksum(h[crcFrom:], castagnoli)
	if c.left == 0 {
		return c.end()
	}
	return nil
}

func (c *checker) end() error {
	h := c.header[:]
	if want := binary.BigEndian.Uint32(h[crcAt:]); c.crc != want {
		return fmt.Errorf("%w: the batch at offset %d has CRC %08x, its header says %08x", ErrWrongBytes, c.begins, c.crc, want)
	}
	base := c.begins
	c.begins += int64(int32(binary.BigEndian.Uint32(h[23:]))) + 1
	c.have = 0
	switch {
	case base == c.next:
		c.next = c.begins
		c.digest = crc32.Update(c.digest, castagnoli, h[crcAt:crcAt+4])
		c.batches++
	case c.begins > c.next:
		return fmt.Errorf("%w: a batch of offsets %d to %d came where %d was due", ErrWrongBytes, base, c.begins-1, c.next)
	}
	return nil
}

// whole says that the stream ended at the end of a batch.
func (c *checker) whole() bool { return c.have == 0 }
