package segment

import (
	"fmt"

	"oneplusn/segment/records"
)

// Appended says where batches have been put, or will be when their [Write] has ended without an error.
type Appended struct {
	// BaseOffset and LastOffset are the first and the last offset assigned; of a duplicate, those that its batch got
	// when it was appended.
	BaseOffset, LastOffset int64
	LogStartOffset         int64
	// AppendTimeMillis is the time that the records got, or -1 if they kept their producer's.
	AppendTimeMillis int64
	Bytes, Records   int
	// Duplicate says that nothing was appended: an idempotent producer sent the batch again. It may be acknowledged
	// when LastOffset is below the offset that the acknowledgement promises.
	Duplicate bool
}

// Append checks one or more batches, as [Log.Check] does, assigns their offsets in place, and writes them with one write,
// all on the caller's thread: it may block, so it is for tools and tests, and a server begins a [Write]. If anything is
// wrong with one of them, none is appended. If the write fails or is short, the log is as it was: the next append goes to
// the same place.
//
// The errors are those of a batch and those of [Log.BeginWrite], [Write.Add] and [Log.EndWrite].
func (l *Log) Append(batches []byte, nowMillis int64) (Appended, error) {
	in, err := l.Check(batches)
	if err != nil {
		return Appended{}, err
	}
	return l.AppendChecked(batches, in, nowMillis)
}

// AppendChecked is [Log.Append] of what was checked already.
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

// Checked is what was found in batches that may be appended: in a producer's by a [Checker], in the server's own by
// [Log.Check]. There is no other way to make one, so that nothing else of a client reaches a log.
type Checked struct {
	offsets      int64 // how many they take
	records      int
	maxTimestamp int64
	producer     sequence      // id -1 if no idempotent producer sent them
	produced     records.Batch // the header of a producer's one batch; zero of the server's own
}

func (in *Checked) isProduced() bool { return in.produced.Magic != 0 }

// Check looks at batches that the server made itself, and changes nothing: it is what recovery demands, and no more. The
// errors are those of a batch.
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

// checkOwn refuses batches of the server itself that are not as it makes them.
func checkOwn(h records.Batch, maxBytes int) error {
	switch {
	case h.Size() > maxBytes:
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrBatchTooLarge, h.Size(), maxBytes)
	case h.RecordCount != h.LastOffsetDelta+1:
		return fmt.Errorf("%w: %d records in %d offsets", records.ErrMalformed, h.RecordCount, int64(h.LastOffsetDelta)+1)
	}
	return nil
}

// assign writes into the batches what the log decides.
func (l *Log) assign(batches []byte, in *Checked, base, nowMillis int64) {
	if in.isProduced() && !l.options.AppendTime && in.produced.MaxTimestamp != in.maxTimestamp {
		records.SetMaxTimestamp(batches, in.maxTimestamp)
	}
	for at := 0; at < len(batches); {
		h, _ := records.ParseBatch(batches[at:])
		records.Assign(batches[at:], base, l.LeaderEpoch())
		if l.options.AppendTime {
			records.SetAppendTime(batches[at:at+h.Size()], nowMillis)
		}
		base += int64(h.LastOffsetDelta) + 1
		at += h.Size()
	}
}
