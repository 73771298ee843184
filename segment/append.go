package segment

import (
	"fmt"
)

// Appended says where [Log.Append] put its batches.
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

// Append checks one or more batches that a producer sent, assigns their offsets in place, and writes them with one
// write. If anything is wrong with one of them, none is appended. If the write fails or is short, the log is as it was:
// the next append goes to the same place.
//
// The errors are those of a batch, [ErrOutOfOrderSequence], [ErrInvalidProducerEpoch], [ErrStorage] and [ErrPoisoned].
func (l *Log) Append(batches []byte, nowMillis int64) (Appended, error) {
	if l.poisoned != nil {
		return Appended{}, l.poisoned
	}
	in, err := l.check(batches)
	if err != nil {
		return Appended{}, err
	}
	if in.producer.id >= 0 {
		if again, ok := l.producers.duplicate(in.producer); ok {
			return Appended{BaseOffset: again.baseOffset(), LastOffset: again.lastOffset, LogStartOffset: l.LogStartOffset(),
				AppendTimeMillis: l.appendTime(again.timestamp), Records: in.records, Duplicate: true}, nil
		}
		if err := l.producers.check(in.producer); err != nil {
			return Appended{}, err
		}
	}
	base := l.LogEndOffset()
	if l.options.AppendTime {
		in.maxTimestamp = nowMillis
	}
	if err := l.rollFor(int64(len(batches)), base+in.offsets-1, in.maxTimestamp, nowMillis); err != nil {
		return Appended{}, err
	}
	l.assign(batches, base, nowMillis)
	if err := l.write(batches); err != nil {
		return Appended{}, err
	}
	l.commit(l.active(), batches)
	if in.producer.id >= 0 {
		in.producer.lastOffset, in.producer.timestamp = base+in.offsets-1, in.maxTimestamp
		l.producers.add(in.producer, nowMillis)
	}
	return Appended{BaseOffset: base, LastOffset: base + in.offsets - 1, LogStartOffset: l.LogStartOffset(),
		AppendTimeMillis: l.appendTime(nowMillis), Bytes: len(batches), Records: in.records}, nil
}

func (l *Log) appendTime(millis int64) int64 {
	if l.options.AppendTime {
		return millis
	}
	return noTimestamp
}

// incoming is what check found in the batches of an append.
type incoming struct {
	offsets      int64 // how many they take
	records      int
	maxTimestamp int64
	producer     sequence // id -1 if no idempotent producer sent them
}

// check looks at every batch and changes nothing.
func (l *Log) check(batches []byte) (incoming, error) {
	in := incoming{maxTimestamp: noTimestamp, producer: sequence{id: -1}}
	if len(batches) == 0 {
		return in, fmt.Errorf("%w: there is none", ErrBatchShort)
	}
	for at := 0; at < len(batches); {
		h, err := CheckBatch(batches[at:])
		if err == nil {
			err = h.checkProduced(l.options.MaxBatchBytes)
		}
		if err == nil && h.ProducerID >= 0 && h.Size() != len(batches) {
			err = fmt.Errorf("%w: an idempotent producer sends one batch at a time", ErrBatchMalformed)
		}
		if err != nil {
			return in, fmt.Errorf("at byte %d of %d: %w", at, len(batches), err)
		}
		in.offsets += int64(h.LastOffsetDelta) + 1
		in.records += int(h.RecordCount)
		in.maxTimestamp = max(in.maxTimestamp, h.MaxTimestamp)
		if h.ProducerID >= 0 {
			in.producer = h.sequence()
		}
		at += h.Size()
	}
	return in, nil
}

// assign writes into the batches what the log decides.
func (l *Log) assign(batches []byte, base, nowMillis int64) {
	for at := 0; at < len(batches); {
		h, _ := ParseBatch(batches[at:])
		assign(batches[at:], base, l.LeaderEpoch())
		if l.options.AppendTime {
			setAppendTime(batches[at:at+h.Size()], nowMillis)
		}
		base += int64(h.LastOffsetDelta) + 1
		at += h.Size()
	}
}

func (l *Log) write(batches []byte) error {
	s := l.active()
	if err := s.cutLeftovers(); err != nil {
		return err
	}
	n, err := s.file.WriteAt(batches, s.size)
	if err == nil {
		return nil
	}
	s.leftovers = n > 0
	_ = s.cutLeftovers() // or before the next append
	return fmt.Errorf("%w: %d of %d bytes at %d of %s: %w", ErrStorage, n, len(batches), s.size, s.path, err)
}

// commit notes batches that were written behind s.size. Unless fsync has to make it true first, this is where the high
// watermark moves.
func (l *Log) commit(s *Segment, batches []byte) {
	for at := 0; at < len(batches); {
		h, _ := ParseBatch(batches[at:])
		s.note(h)
		at += h.Size()
	}
	if !l.options.ManualCommit && !l.awaitsSync {
		s.visible = s.size
		l.raiseHighWatermark(s.next)
	}
}
