package segment

import (
	"fmt"

	"oneplusn/segment/mark"
	"oneplusn/segment/records"
)

// Appended is the place of batches in the log, once their [Write] has ended without an error.
type Appended struct {
	// BaseOffset and LastOffset are the first and the last assigned offset; for a duplicate, those of the original.
	BaseOffset, LastOffset int64
	LogStartOffset         int64
	// AppendTimeMillis is the time that the log gave the records, or -1 if they kept their producer's.
	AppendTimeMillis int64
	Bytes, Records   int
	// Duplicate: an idempotent producer sent the batch again and nothing was appended. The acknowledgement has to wait
	// until LastOffset is below the offset that the policy promises.
	Duplicate bool
}

// Append checks one or more batches, as [Log.Check] does, assigns their offsets in place, and writes them with one write,
// all on the caller's thread. It blocks, so it is for tools and tests; a server begins a [Write]. It appends all batches or
// none: after a failed or short write the next append goes to the same place.
//
// The errors are those of a batch and those of [Log.BeginWrite], [Write.Add] and [Log.EndWrite].
func (l *Log) Append(batches []byte, nowMillis int64) (Appended, error) {
	in, err := l.Check(batches)
	if err != nil {
		return Appended{}, err
	}
	return l.AppendChecked(batches, in, nowMillis)
}

// AppendChecked is [Log.Append] for batches that are already checked.
func (l *Log) AppendChecked(batches []byte, in Checked, nowMillis int64) (Appended, error) {
	w, err := l.BeginWrite()
	if err != nil {
		return Appended{}, err
	}
	a, err := w.Add(batches, in, nowMillis)
	if err == nil && !w.Empty() {
		w.Run()
	}
	if eerr := l.EndWrite(w); err == nil {
		err = eerr
	}
	if err != nil {
		return Appended{}, err
	}
	return a, nil
}

func (l *Log) appendTime(millis int64) int64 {
	if l.options.AppendTime {
		return millis
	}
	return records.NoTimestamp
}

// Checked describes batches that may be appended: a producer's, from a [Checker], or the server's own, from [Log.Check].
// Nothing else makes one, so no unchecked bytes of a client reach a log.
type Checked struct {
	offsets      int64 // the number of them that the batches need
	records      int
	maxTimestamp int64
	producer     sequence      // id -1 if no idempotent producer sent them
	produced     records.Batch // the header of a producer's one batch; zero for the server's own
}

func (in *Checked) isProduced() bool { return in.produced.Magic != 0 }

// Check checks batches that the server made itself, as strictly as recovery does, and changes nothing. The errors are those
// of a batch.
func (l *Log) Check(batches []byte) (Checked, error) {
	in := Checked{maxTimestamp: records.NoTimestamp, producer: sequence{id: -1}}
	if len(batches) == 0 {
		return in, fmt.Errorf("%w: there is none", records.ErrShort)
	}
	for at := 0; at < len(batches); {
		h, err := records.CheckBatch(batches[at:])
		if err == nil {
			err = checkOwn(h, l.options.MaxBatchBytes)
		}
		if err == nil && h.ProducerID >= 0 && h.Size() != len(batches) {
			err = fmt.Errorf("%w: an idempotent producer sends one batch at a time", records.ErrMalformed)
		}
		if err != nil {
			return in, fmt.Errorf("at byte %d of %d: %w", at, len(batches), err)
		}
		in.offsets += int64(h.LastOffsetDelta) + 1
		in.records += int(h.RecordCount)
		in.maxTimestamp = max(in.maxTimestamp, h.MaxTimestamp)
		if h.ProducerID >= 0 {
			in.producer = sequenceOf(h)
		}
		at += h.Size()
	}
	return in, nil
}

// checkOwn refuses batches that the server itself would not make.
func checkOwn(h records.Batch, maxBytes int) error {
	switch {
	case h.Size() > maxBytes:
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrBatchTooLarge, h.Size(), maxBytes)
	case h.RecordCount != h.LastOffsetDelta+1:
		return fmt.Errorf("%w: %d records in %d offsets", records.ErrMalformed, h.RecordCount, int64(h.LastOffsetDelta)+1)
	}
	return nil
}

// assign writes offsets, epoch and times into the batches.
func (l *Log) assign(batches []byte, in *Checked, base, nowMillis int64) {
	if in.isProduced() && !l.options.AppendTime && in.produced.MaxTimestamp != in.maxTimestamp {
		mark.Hit("a wrong latest timestamp in a header was corrected")
		records.SetMaxTimestamp(batches, in.maxTimestamp)
	}
	for at := 0; at < len(batches); {
		h, _ := records.ParseBatch(batches[at:])
		records.Assign(batches[at:], base, l.LeaderEpoch())
		if l.options.AppendTime {
			mark.Hit("records got the time of their append")
			records.SetAppendTime(batches[at:at+h.Size()], nowMillis)
		}
		base += int64(h.LastOffsetDelta) + 1
		at += h.Size()
	}
}
