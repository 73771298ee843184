package segment

import (
	"errors"
	"fmt"
	"math"

	"oneplusn/segment/records"
)

// What a producer's batch can be refused for, beside what [records.CheckBatch] finds.
var (
	// ErrBatchTooLarge: the batch is above Options.MaxBatchBytes.
	ErrBatchTooLarge = errors.New("segment: the batch is larger than allowed")
	// ErrBatchCount: a partition of a request has one batch, no more and no less.
	ErrBatchCount = errors.New("segment: not one batch")
	// ErrTransactional: the batch is of a transaction, which nobody has begun.
	ErrTransactional = errors.New("segment: the batch is transactional")
	// ErrInvalidTimestamp: a record's time is not one that the topic allows.
	ErrInvalidTimestamp = errors.New("segment: the timestamp is out of range")
	// ErrCompression: the codec does not exist, or not in this version of the request.
	ErrCompression = errors.New("segment: the compression is not supported")
	// ErrInflatedTooLarge: the records inflate to more than Options.MaxInflatedBytes.
	ErrInflatedTooLarge = errors.New("segment: the records inflate to more than allowed")
	// ErrBatchAboveSegment: the batch is larger than Options.SegmentBytes.
	ErrBatchAboveSegment = errors.New("segment: the batch is larger than a segment")
	// ErrLaterPlease: the check would take longer than the caller has: see [Checker.Budget].
	ErrLaterPlease = errors.New("segment: the check takes longer than allowed here")
)

// IsTransactional says whether the first batch of b claims to be of a transaction. b need not be a batch.
func IsTransactional(b []byte) bool {
	h, err := records.ParseBatch(b)
	return err == nil && h.Attributes.Has(records.Transactional)
}

// IsCompressed says whether the first batch of b claims to be compressed. b need not be a batch.
func IsCompressed(b []byte) bool {
	h, err := records.ParseBatch(b)
	return err == nil && h.Attributes.Codec() != records.None
}

// Rules are what a log's options say of the batches of producers.
type Rules struct {
	MaxBatchBytes    int
	MaxInflatedBytes int64
	AppendTime       bool
	// TimestampBeforeMillis and TimestampAfterMillis are how far from the append a record's time may be.
	TimestampBeforeMillis, TimestampAfterMillis int64
}

// Rules are those of the log at this moment.
func (l *Log) Rules() Rules {
	o := &l.options
	return Rules{o.MaxBatchBytes, o.MaxInflatedBytes, o.AppendTime, max(o.TimestampBeforeMaxMillis, 0), max(o.TimestampAfterMaxMillis, 0)}
}

// Checker checks batches of producers. It is pure, and keeps memory between checks; it serves one goroutine at a time.
type Checker struct {
	// Budget bounds the bytes of records that a check may walk over, which for compressed ones is after inflating: beyond
	// it the answer is [ErrLaterPlease]. 0 is without bound, for a check that nobody waits for.
	Budget int64

	reader records.Reader
}

// Spent is how many bytes of records the last check walked over, and how many records.
func (c *Checker) Spent() (bytes, records int64) {
	return c.reader.Inflated(), int64(c.reader.Records())
}

// Check holds what a client sent for one partition against what Apache Kafka demands of it, and what every client of it
// relies on: one whole batch of format 2, whose CRC, counts, offsets and lengths are true down to the last record. What the
// header says is not believed but compared.
//
// rules are those of the log, zstd says that the version of the request has zstd. Where Kafka's answer to a broken batch
// would make the client send it again for minutes (an unknown error for a codec that fails, CORRUPT_MESSAGE for an unknown
// format), it is [records.ErrMalformed] or [records.ErrMagic] here.
func (c *Checker) Check(b []byte, rules Rules, zstd bool, nowMillis int64) (Checked, error) {
	h, err := parseProduced(b)
	if err != nil {
		return Checked{}, err
	}
	codec := h.Attributes.Codec()
	switch {
	case codec == records.Zstd && !zstd:
		return Checked{}, fmt.Errorf("%w: zstd needs version 7 or later of the request", ErrCompression)
	case h.Size() > rules.MaxBatchBytes:
		return Checked{}, fmt.Errorf("%w: %d bytes, the limit is %d (max.message.bytes)", ErrBatchTooLarge, h.Size(), rules.MaxBatchBytes)
	}
	if c.Budget > 0 && int64(len(b)) > c.Budget {
		return Checked{}, ErrLaterPlease
	}
	if err := h.CheckCRC(records.UpdateCRC(0, b[records.CRCFrom:])); err != nil {
		return Checked{}, err
	}
	if err := checkHeader(h); err != nil {
		return Checked{}, err
	}
	if codec > records.Zstd {
		return Checked{}, fmt.Errorf("%w: codec %d", ErrCompression, codec)
	}
	times, err := c.checkRecords(h, codec, b[records.HeaderSize:], rules.MaxInflatedBytes)
	if err == nil && !rules.AppendTime {
		err = times.check(rules, nowMillis)
	}
	if err != nil {
		return Checked{}, err
	}
	in := Checked{offsets: int64(h.RecordCount), records: int(h.RecordCount), maxTimestamp: times.max, producer: sequence{id: -1}, produced: h}
	if h.ProducerID >= 0 {
		in.producer = sequenceOf(h)
	}
	return in, nil
}

// parseProduced is the header of the one batch that b has to be. Its base offset may be anything: the log writes its own in
// the place. Apache Kafka refuses any but 0, which protects nobody, and tools that copy batches send the one they read.
func parseProduced(b []byte) (records.Batch, error) {
	h, err := records.ParseBatch(b)
	switch {
	case len(b) < records.HeaderSize:
		return h, fmt.Errorf("%w: there are %d bytes, and the least is %d", ErrBatchCount, len(b), records.HeaderSize)
	case errors.Is(err, records.ErrMalformed):
		return h, fmt.Errorf("%w: %w", records.ErrCRC, err) // the length, which no CRC covers, was changed on its way
	case err != nil:
		return h, err
	case h.Size() > len(b):
		return h, fmt.Errorf("%w: the batch has %d bytes, %d came", ErrBatchCount, h.Size(), len(b))
	case h.Size() < len(b):
		return h, fmt.Errorf("%w: %d bytes follow the first batch, and each partition of a request has one batch", ErrBatchCount, len(b)-h.Size())
	}
	return h, nil
}

// checkHeader refuses what only a broken or hostile producer sends, though a log may contain it.
func checkHeader(h records.Batch) error {
	switch {
	case h.RecordCount <= 0 || int64(h.RecordCount) != int64(h.LastOffsetDelta)+1:
		return fmt.Errorf("%w: %d records in %d offsets", records.ErrMalformed, h.RecordCount, int64(h.LastOffsetDelta)+1)
	case h.Attributes.Has(records.Control):
		return fmt.Errorf("%w: producers do not write control batches", records.ErrMalformed)
	case h.Attributes.Has(records.Transactional):
		return fmt.Errorf("%w: there are no transactions here", ErrTransactional)
	case h.Attributes.Has(records.AppendTime):
		return fmt.Errorf("%w: the time of the append is not the producer's to set", ErrInvalidTimestamp)
	case h.ProducerID >= 0 && (h.ProducerEpoch < 0 || h.BaseSequence < 0):
		return fmt.Errorf("%w: producer %d sent epoch %d and sequence number %d", records.ErrMalformed, h.ProducerID, h.ProducerEpoch, h.BaseSequence)
	}
	return nil
}

// times are the earliest and the latest time of a batch's records in milliseconds, of those that have one; -1 otherwise.
type times struct{ min, max int64 }

// checkRecords reads every record, and is what their times are.
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
	for n := range h.RecordCount {
		more, err := r.Next(&rec)
		switch {
		case err != nil:
			return t, c.recordsError(err, limit < maxInflated)
		case !more:
			return t, fmt.Errorf("%w: it has %d records, its header says %d", records.ErrMalformed, n, h.RecordCount)
		case rec.OffsetDelta != n:
			return t, fmt.Errorf("%w: record %d has offset delta %d", records.ErrMalformed, n, rec.OffsetDelta)
		}
		if at := h.BaseTimestamp + rec.TimestampDelta; at != records.NoTimestamp {
			t.min, t.max = min(t.min, at), max(t.max, at)
		}
	}
	if more, err := r.Next(&rec); err != nil {
		return t, c.recordsError(err, limit < maxInflated)
	} else if more {
		return t, fmt.Errorf("%w: something follows its %d records", records.ErrMalformed, h.RecordCount)
	}
	return t, nil
}

// recordsError is an error of records as one of a batch. bounded says that the limit was the caller's and not the log's.
func (c *Checker) recordsError(err error, bounded bool) error {
	switch {
	case bounded && errors.Is(err, records.ErrTooLarge), c.Budget > 0 && errors.Is(err, records.ErrWindow):
		return ErrLaterPlease
	case errors.Is(err, records.ErrTooLarge):
		return fmt.Errorf("%w: %w (--max-inflated-bytes)", ErrInflatedTooLarge, err)
	}
	return fmt.Errorf("%w: %w", records.ErrMalformed, err)
}

// check compares the times with the log's limits. They are Kafka's message.timestamp.before.max.ms and .after.max.ms.
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
