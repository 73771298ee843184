package load

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"oneplusn/segment/records"
)

// Records makes the record batches to publish: uncompressed, of format 2, with records of a fixed size.
type Records struct {
	recordBytes, batchBytes int
	source                  io.Reader
	value                   []byte
	buf                     []byte
}

// NewRecords makes batches of about batchBytes with records of recordBytes. Their content comes from source, or is
// reproducible noise if source is nil.
func NewRecords(recordBytes, batchBytes int, source io.Reader) (*Records, error) {
	if recordBytes < 1 || batchBytes < recordBytes+records.HeaderSize+64 {
		return nil, fmt.Errorf("load: a batch of %[2]d bytes is too small for a record of %[1]d bytes", recordBytes, batchBytes)
	}
	if source == nil {
		source = rand.NewChaCha8([32]byte{'o', 'n', 'e', '+', 'n'})
	}
	return &Records{recordBytes: recordBytes, batchBytes: batchBytes, source: source, value: make([]byte, recordBytes)}, nil
}

// Next is the next batch and the number of its records. The batch is valid until the next call. At the end of the source
// the error is io.EOF.
func (r *Records) Next(timestampMillis int64) (batch []byte, count int, err error) {
	b := append(r.buf[:0], make([]byte, records.HeaderSize)...)
	for len(b)+r.recordBytes+32 <= r.batchBytes {
		n, err := io.ReadFull(r.source, r.value)
		if n > 0 {
			b = records.AppendRecord(b, count, nil, r.value[:n])
			count++
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
	}
	r.buf = b
	if count == 0 {
		return nil, 0, io.EOF
	}
	records.Seal(b, records.NewBatch(count, timestampMillis))
	return b, count, nil
}

// checker checks the batches in the responses to consecutive fetches. They come in pieces of any size. The first batch of a
// response holds the requested offset, and may begin before it.
type checker struct {
	next   int64 // the requested offset, or the one that must come next
	begins int64 // where the next batch must begin: before next while batches are skipped
	fresh  bool  // no batch of this response has arrived yet
	header [records.HeaderSize]byte
	have   int
	batch  records.Batch // header, parsed
	left   int           // bytes of the current batch that have not arrived yet
	crc    uint32
	// digest is a checksum over the CRCs of all batches: subscribers that got the same batches have the same digest.
	digest  uint32
	batches int64
}

// ErrWrongBytes is wrapped by the error for a subscriber that received other bytes than were published.
var ErrWrongBytes = errors.New("load: a subscriber got wrong bytes")

func (c *checker) feed(b []byte) error {
	for len(b) > 0 {
		if c.have < records.HeaderSize {
			n := copy(c.header[c.have:], b)
			c.have += n
			b = b[n:]
			if c.have == records.HeaderSize {
				if err := c.begin(); err != nil {
					return err
				}
			}
			continue
		}
		n := min(c.left, len(b))
		c.crc = records.UpdateCRC(c.crc, b[:n])
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

func (c *checker) begin() (err error) {
	c.batch, err = records.ParseBatch(c.header[:])
	base := c.batch.BaseOffset
	switch {
	case err != nil:
		return fmt.Errorf("%w: at offset %d: %w", ErrWrongBytes, c.next, err)
	case c.fresh && base < c.next:
		c.begins = base
	case c.fresh:
		c.begins = c.next
	}
	if c.fresh = false; base != c.begins {
		return fmt.Errorf("%w: offset %d arrived, expected %d", ErrWrongBytes, base, c.begins)
	}
	c.left = c.batch.Size() - records.HeaderSize
	c.crc = records.UpdateCRC(0, c.header[records.CRCFrom:])
	if c.left == 0 {
		return c.end()
	}
	return nil
}

func (c *checker) end() error {
	if err := c.batch.CheckCRC(c.crc); err != nil {
		return fmt.Errorf("%w: the batch at offset %d: %w", ErrWrongBytes, c.begins, err)
	}
	base := c.begins
	c.begins = c.batch.NextOffset()
	c.have = 0
	switch {
	case base == c.next:
		c.next = c.begins
		c.digest = records.UpdateCRC(c.digest, c.header[records.CRCFrom-4:records.CRCFrom])
		c.batches++
	case c.begins > c.next:
		return fmt.Errorf("%w: a batch of offsets %d to %d arrived, expected %d", ErrWrongBytes, base, c.begins-1, c.next)
	}
	return nil
}

// whole tells whether the stream ends at the end of a batch.
func (c *checker) whole() bool { return c.have == 0 }
