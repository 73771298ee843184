package records

import "fmt"

// Each calls f with the records of a whole batch, with their offsets and timestamps, until f returns false. Compressed
// ones are inflated as f takes them, to at most maxInflatedBytes. The record is valid until f returns.
func (r *Reader) Each(h Batch, batch []byte, maxInflatedBytes int64, f func(offset, timestampMillis int64, rec *Record) bool) error {
	if len(batch) != h.Size() {
		panic(fmt.Sprintf("records: %d bytes are read as a batch of %d", len(batch), h.Size()))
	}
	defer r.Close()
	err := r.Reset(h.Attributes.Codec(), batch[HeaderSize:], maxInflatedBytes)
	var rec Record
	for n, more := int32(0), true; err == nil && n < h.RecordCount; n++ {
		if more, err = r.Next(&rec); !more {
			break // the end, or an error
		}
		if !f(h.BaseOffset+int64(rec.OffsetDelta), h.BaseTimestamp+rec.TimestampDelta, &rec) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("the records from offset %d on: %w", h.BaseOffset, err)
	}
	return nil
}
