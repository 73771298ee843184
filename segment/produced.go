package segment

import (
	"errors"
	"fmt"
	"math"

	"oneplusn/segment/mark"
	"oneplusn/segment/records"
)

// The errors of a producer's batch, beside those of [records.CheckBatch].
var (
	// ErrBatchTooLarge: the batch is above Options.MaxBatchBytes.
	ErrBatchTooLarge = errors.New("segment: the batch is larger than allowed")
	// ErrBatchCount: a partition of a request has one batch, no more and no less.
	ErrBatchCount = errors.New("segment: not one batch")
	// ErrTransactional: the batch belongs to a transaction; there are none here.
	ErrTransactional = errors.New("segment: the batch is transactional")
	// ErrInvalidTimestamp: the topic does not allow a record's timestamp.
	ErrInvalidTimestamp = errors.New("segment: the timestamp is out of range")
	// ErrCompression: the codec does not exist, or not in this version of the request.
	ErrCompression = errors.New("segment: the compression is not supported")
	// ErrInflatedTooLarge: the records inflate to more than Options.MaxInflatedBytes.
	ErrInflatedTooLarge = errors.New("segment: the records inflate to more than allowed")
	// ErrBatchAboveSegment: the batch is larger than Options.SegmentBytes.
	ErrBatchAboveSegment = errors.New("segment: the batch is larger than a segment")
	// ErrLaterPlease: the check would exceed [Checker.Budget].
	ErrLaterPlease = errors.New("segment: the check takes longer than allowed here")
)

// IsTransactional reports whether the first batch of b claims to be transactional. b need not be a batch.
func IsTransactional(b []byte) bool {
	h, err := records.ParseBatch(b)
	return err == nil && h.Attributes.Has(records.Transactional)
}

// IsCompressed reports whether the first batch of b claims to be compressed. b need not be a batch.
func IsCompressed(b []byte) bool {
	h, err := records.ParseBatch(b)
	return err == nil && h.Attributes.Codec() != records.None
}

// Rules are a log's options about the batches of producers.
type Rules struct {
	MaxBatchBytes    int
	MaxInflatedBytes int64
	AppendTime       bool
	// TimestampBeforeMillis and TimestampAfterMillis bound a record's distance in time from the append.
	TimestampBeforeMillis, TimestampAfterMillis int64
}

// Rules are the log's rules at this moment.
func (l *Log) Rules() Rules {
	o := &l.options
	return Rules{o.MaxBatchBytes, o.MaxInflatedBytes, o.AppendTime, max(o.TimestampBeforeMaxMillis, 0), max(o.TimestampAfterMaxMillis, 0)}
}

// Checker checks batches of producers. It is pure and reuses its memory; it serves one goroutine at a time.
type Checker struct {
	// Budget bounds the bytes of records that a check walks over, after inflating: beyond it the check returns
	// [ErrLaterPlease]. 0 is no bound, for checks off the loop.
	Budget int64

	reader records.Reader
}

// Spent is the number of bytes of records that the last check walked over, and of records.
func (c *Checker) Spent() (bytes, records int64) {
	return c.reader.Inflated(), int64(c.reader.Records())
}

// Check checks what a client sent for one partition by Apache Kafka's rules, on which every consumer relies: one whole batch of
// format 2, whose CRC, counts, offsets and lengths are true down to the last record. It compares each field of the header with
// the records.
//
// zstd: the version of the request has zstd. For some broken batches Kafka's answer makes the client retry for minutes (an
// unknown error for a codec that fails, CORRUPT_MESSAGE for an unknown format); here they get [records.ErrMalformed] or
// [records.ErrMagic].
func (c *Checker) Check(b []byte, rules Rules, zstd bool, nowMillis int64) (Checked, error) {
	h, err := parseProduced(b)
	if err != nil {
		mark.HitIf(errors.Is(err, records.ErrMagic), "a batch of an old format was refused")
		mark.HitIf(errors.Is(err, ErrBatchCount), "bytes that are not one whole batch were refused")
		return Checked{}, err
	}
	codec := h.Attributes.Codec()
	switch {
	case codec == records.Zstd && !zstd:
		mark.Hit("a batch of zstd in an old request was refused")
		return Checked{}, fmt.Errorf("%w: zstd needs version 7 or later of the request", ErrCompression)
	case h.Size() > rules.MaxBatchBytes:
		mark.Hit("a batch above the limit of its topic was refused")
		return Checked{}, fmt.Errorf("%w: %d bytes, the limit is %d (max.message.bytes)", ErrBatchTooLarge, h.Size(), rules.MaxBatchBytes)
	}
	if c.Budget > 0 && int64(len(b)) > c.Budget {
		return Checked{}, ErrLaterPlease
	}
	if err := h.CheckCRC(records.UpdateCRC(0, b[records.CRCFrom:])); err != nil {
		mark.Hit("a batch with a wrong CRC was refused")
		return Checked{}, err
	}
	if err := checkHeader(h); err != nil {
		mark.Hit("a batch whose header contradicts itself was refused")
		return Checked{}, err
	}
	if codec > records.Zstd {
		mark.Hit("a batch of an unknown codec was refused")
		return Checked{}, fmt.Errorf("%w: codec %d", ErrCompression, codec)
	}
	times, err := c.checkRecords(h, codec, b[records.HeaderSize:], rules.MaxInflatedBytes)
	if err == nil && !rules.AppendTime {
		err = times.check(rules, nowMillis)
		mark.HitIf(err != nil, "a batch with a timestamp out of range was refused")
	}
	if err != nil {
		return Checked{}, err
	}
	mark.HitIf(codec == records.Gzip, "a batch of gzip was checked")
	mark.HitIf(codec == records.Snappy, "a batch of snappy was checked")
	mark.HitIf(codec == records.LZ4, "a batch of lz4 was checked")
	mark.HitIf(codec == records.Zstd, "a batch of zstd was checked")
	in := Checked{offsets: int64(h.RecordCount), records: int(h.RecordCount), maxTimestamp: times.max, producer: sequence{id: -1}, produced: h}
	if h.ProducerID >= 0 {
		in.producer = sequenceOf(h)
	}
	return in, nil
}

// parseProduced parses b, which must be exactly one batch. Any base offset will do: the log overwrites it. Apache Kafka refuses
// all but 0, which protects nobody, and tools that copy batches send the offset that they read.
func parseProduced(b []byte) (records.Batch, error) {
	h, err := records.ParseBatch(b)
	switch {
	case len(b) < records.HeaderSize:
		return h, fmt.Errorf("%w: there are %d bytes, and the least is %d", ErrBatchCount, len(b), records.HeaderSize)
	case errors.Is(err, records.ErrMalformed):
		return h, fmt.Errorf("%w: %w", records.ErrCRC, err) // no CRC covers the length: something changed it in transit
	case err != nil:
		return h, err
	case h.Size() > len(b):
		return h, fmt.Errorf("%w: the batch has %d bytes, %d came", ErrBatchCount, h.Size(), len(b))
	case h.Size() < len(b):
		return h, fmt.Errorf("%w: %d bytes follow the first batch, and each partition of a request has one batch", ErrBatchCount, len(b)-h.Size())
	}
	return h, nil
}

// checkHeader refuses headers that only a broken or hostile producer sends, though a log of Kafka may contain them.
func checkHeader(h records.Batch) error {
	switch {
	case h.RecordCount <= 0 || int64(h.RecordCount) != int64(h.LastOffsetDelta)+1:
		return fmt.Errorf("%w: %d records in %d offsets", records.ErrMalformed, h.RecordCount, int64(h.LastOffsetDelta)+1)
	case h.Attributes.Has(records.Control):
		return fmt.Errorf("%w: producers do not write control batches", records.ErrMalformed)
	case h.Attributes.Has(records.Transactional):
		return fmt.Errorf("%w: transactions are not supported", ErrTransactional)
	case h.Attributes.Has(records.AppendTime):
		return fmt.Errorf("%w: a producer may not set the time of the append", ErrInvalidTimestamp)
	case h.ProducerID >= 0 && (h.ProducerEpoch < 0 || h.BaseSequence < 0):
		return fmt.Errorf("%w: producer %d sent epoch %d and sequence number %d", records.ErrMalformed, h.ProducerID, h.ProducerEpoch, h.BaseSequence)
	}
	return nil
}

// times are the earliest and the latest timestamp of a batch's records in milliseconds. Without any, max is -1.
type times struct{ min, max int64 }

// checkRecords reads every record and returns their times.
func (c *Checker) checkRecords(h records.Batch, codec records.Codec, payload []byte, maxInflated int64) (times, error) {
	t := times{math.MaxInt64, records.NoTimestamp}
	limit := maxInflated
	if c.Budget > 0 {
		limit = min(limit, c.Budget)
	}
	r := &c.reader
	r.Large = c.Budget == 0
	defer r.Close()
	if err := r.Reset(codec, payload, limit); err != nil {
		return t, c.recordsError(err, limit < maxInflated)
	}
	var rec records.Record
	for n := int32(0); ; n++ {
		more, err := r.Next(&rec)
		switch {
		case err != nil:
			return t, c.recordsError(err, limit < maxInflated)
		case !more && n == h.RecordCount:
			return t, nil
		case more && n == h.RecordCount:
			return t, fmt.Errorf("%w: bytes follow its %d records", records.ErrMalformed, n)
		case !more:
			return t, fmt.Errorf("%w: it has %d records, its header says %d", records.ErrMalformed, n, h.RecordCount)
		case rec.OffsetDelta != n:
			return t, fmt.Errorf("%w: record %d has offset delta %d", records.ErrMalformed, n, rec.OffsetDelta)
		}
		if at := h.BaseTimestamp + rec.TimestampDelta; at != records.NoTimestamp {
			t.min, t.max = min(t.min, at), max(t.max, at)
		}
	}
}

// recordsError turns an error of a reader into one of a batch. bounded: the limit was the budget, not the log's.
func (c *Checker) recordsError(err error, bounded bool) error {
	switch {
	case bounded && errors.Is(err, records.ErrTooLarge), c.Budget > 0 && errors.Is(err, records.ErrWindow):
		mark.Hit("a batch inflates to too much to be checked on the loop")
		return ErrLaterPlease
	case errors.Is(err, records.ErrTooLarge):
		mark.Hit("a batch that inflates to more than allowed was refused")
		return fmt.Errorf("%w: %w (--max-inflated-bytes)", ErrInflatedTooLarge, err)
	}
	mark.Hit("a batch whose records cannot be read was refused")
	return fmt.Errorf("%w: %w", records.ErrMalformed, err)
}

// check compares the times with Kafka's message.timestamp.before.max.ms and .after.max.ms.
func (t times) check(rules Rules, nowMillis int64) error {
	before, after := rules.TimestampBeforeMillis, rules.TimestampAfterMillis
	switch {
	case t.max > nowMillis && t.max-nowMillis > after:
		return fmt.Errorf("%w: %d is %d ms from now, the limit is %d (message.timestamp.after.max.ms)", ErrInvalidTimestamp, t.max, t.max-nowMillis, after)
	case t.min < nowMillis && (nowMillis-t.min > before || nowMillis-t.min < 0):
		return fmt.Errorf("%w: %d is before %d, the limit is %d ms (message.timestamp.before.max.ms)", ErrInvalidTimestamp, t.min, nowMillis, before)
	}
	return nil
}
