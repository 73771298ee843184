package segment

import (
	"bytes"

	"oneplusn/segment/records"
)

// EachRecord calls f with every record below the high watermark, which f may keep, and leftOut for a batch whose CRC matches but
// whose records cannot be read. It skips transaction markers. It blocks.
func (l *Log) EachRecord(maxInflatedBytes int64, f func(offset int64, r *records.Record), leftOut func(error)) error {
	if l.closed {
		return l.closedError()
	}
	reader := &records.Reader{Contents: true, Large: true}
	for next := l.LogStartOffset(); next < l.HighWatermark(); {
		rng, err := l.ReadBlocking(next, 1<<20)
		if err != nil {
			return err
		}
		if rng.Len == 0 {
			return nil // the offsets up to the high watermark were compacted away
		}
		raw := make([]byte, rng.Len)
		if err := readWhole(rng.Segment.file, raw, rng.Pos); err != nil {
			return err
		}
		for at := rng.Pos; len(raw) > 0; {
			h, err := records.CheckBatch(raw)
			if err != nil {
				return &DamagedError{Case: "damaged-closed-segment", File: rng.Segment.path, Position: at, Offset: next, Reason: err}
			}
			if h.LastOffset() >= next && !h.Attributes.Has(records.Control) {
				err := reader.Each(h, raw[:h.Size()], maxInflatedBytes, func(offset, _ int64, r *records.Record) bool {
					r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
					f(offset, r)
					return true
				})
				if err != nil {
					leftOut(err)
				}
			}
			next = max(next, h.NextOffset())
			raw, at = raw[h.Size():], at+int64(h.Size())
		}
	}
	return nil
}
