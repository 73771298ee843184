package segment

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"oneplusn/segment/mark"
)

// The bounds of one write; the next one takes the rest. The page cache takes a write of that size in about a millisecond.
const (
	maxWriteBytes  = 1 << 20
	maxWritePieces = 128
)

// ErrNextWrite: the batches have to wait for the next write, because this one is full or they depend on its result.
var ErrNextWrite = errors.New("segment: the batches belong to the next write")

// Write is the one write that a log has in flight:
//
//	BeginWrite --> Add ... Add --> Run --> EndWrite
//	log's thread                   off it  log's thread
//
// [Write.Run] may block and touches nothing that the log's thread changes. Until it has run nobody may change the bytes of the
// batches. They become part of the log with EndWrite.
type Write struct {
	log      *Log
	inFlight bool
	target   *Segment // the active one; held
	size     int64    // the target's
	visible  int64    // of it: what could be read when the write began
	pieces   [][]byte
	batches  []writing
	bytes    int64 // of all pieces
	// begins: the write begins a new segment, so at is 0.
	begins   bool
	path     string // of the segment that it goes to
	at       int64  // its position there
	base     int64  // the segment's base offset
	capacity int64
	first    int64 // the offset of the first batch
	next     int64 // behind the last one
	// createdMillis is the time of the segment's first append.
	createdMillis int64

	inline bool // it runs on the log's own thread

	// Run changes these.
	ran       bool
	prepared  File // the next segment's, until it has its name
	fresh     File // of the new segment
	leftovers bool // an earlier write left bytes in target
	remains   bool // this one left bytes in its segment
	err       error
}

// writing is EndWrite's knowledge of a piece.
type writing struct {
	producer  sequence
	nowMillis int64
}

// BeginWrite begins a write, which has to be ended even if it stays empty. The error is [ErrNextWrite] while another write is in
// flight, or while too many segments wait to be finished; [ErrClosed] and [ErrPoisoned] are permanent.
func (l *Log) BeginWrite() (*Write, error) {
	w := &l.writing
	switch {
	case l.closed:
		return nil, l.closedError()
	case l.poisoned != nil:
		return nil, l.poisoned
	case w.inFlight, l.working && l.options.Files.behind():
		mark.HitIf(!w.inFlight, "appends waited for segments to be finished")
		return nil, ErrNextWrite
	}
	s := l.active()
	if s.finished() {
		panic("segment: a write to a finished segment: " + s.path)
	}
	s.Retain()
	*w = Write{log: l, inFlight: true, target: s, size: s.size, visible: s.visible, pieces: w.pieces[:0], batches: w.batches[:0],
		path: s.path, at: s.size, base: s.base, capacity: s.capacity, first: s.next, next: s.next,
		createdMillis: s.createdMillis, leftovers: s.leftovers}
	return w, nil
}

// Empty reports whether Run has nothing to do.
func (w *Write) Empty() bool { return len(w.pieces) == 0 && !w.begins }

// Plain reports whether the write is a single write(2) to the active segment.
func (w *Write) Plain() bool { return !w.begins && !w.leftovers }

// Bytes is the size of all its batches.
func (w *Write) Bytes() int64 { return w.bytes }

// Add adds checked batches to the write and assigns their offsets in place. It adds nothing of a duplicate, or with an error. After
// [ErrNextWrite] offer them to the next write, and everything that came after them.
//
// The other errors are [ErrOutOfOrderSequence], [ErrInvalidProducerEpoch] and, for a producer's batch, [ErrBatchAboveSegment]; the
// server's own batches may be larger than a segment, and get one for themselves.
func (w *Write) Add(batches []byte, in Checked, nowMillis int64) (Appended, error) {
	l := w.log
	if !w.inFlight || w.ran || in.offsets < 1 {
		panic(fmt.Sprintf("segment: %s: %d offsets are added to a write (in flight %v, ran %v)", l.dir, in.offsets, w.inFlight, w.ran))
	}
	if len(w.pieces) > 0 && (len(w.pieces) == maxWritePieces || w.bytes+int64(len(batches)) > maxWriteBytes || w.has(in.producer)) {
		mark.HitIf(w.has(in.producer), "a producer's next batch waited for the write of the last one")
		return Appended{}, ErrNextWrite
	}
	if in.producer.id >= 0 {
		if again, ok := l.producers.duplicate(in.producer); ok {
			return Appended{BaseOffset: again.baseOffset(), LastOffset: again.lastOffset, LogStartOffset: l.LogStartOffset(),
				AppendTimeMillis: l.appendTime(again.timestamp), Records: in.records, Duplicate: true}, nil
		}
		if err := l.producers.check(in.producer, l.isWhole()); err != nil {
			return Appended{}, err
		}
	}
	if n := int64(len(batches)); in.isProduced() && n > l.options.SegmentBytes {
		mark.Hit("a batch larger than a segment was refused")
		return Appended{}, fmt.Errorf("%w: it has %d bytes, segments have %d (segment.bytes)", ErrBatchAboveSegment, n, l.options.SegmentBytes)
	}
	if in.isProduced() && int64(len(batches)) != int64(in.produced.Size()) {
		panic(fmt.Sprintf("segment: %d bytes are to be appended, %d were checked", len(batches), in.produced.Size()))
	}
	if l.options.AppendTime {
		in.maxTimestamp = nowMillis
	}
	base := w.next
	last := base + in.offsets - 1
	if !w.fits(int64(len(batches)), last, nowMillis) {
		if len(w.pieces) > 0 {
			return Appended{}, ErrNextWrite
		}
		mark.HitIf(w.size+int64(len(batches)) > w.capacity, "a segment ended by its size")
		mark.HitIf(last-w.base > math.MaxInt32, "a segment ended because its index has no room for higher offsets")
		mark.HitIf(nowMillis-w.createdMillis > l.options.SegmentAge.Milliseconds(), "a segment ended by its age")
		w.beginSegment(nowMillis)
	}
	relative(last, w.base)
	l.assign(batches, &in, base, nowMillis)
	w.take(batches, in, last, nowMillis)
	return Appended{BaseOffset: base, LastOffset: last, LogStartOffset: l.LogStartOffset(),
		AppendTimeMillis: l.appendTime(nowMillis), Bytes: len(batches), Records: in.records}, nil
}

// isWhole reports whether the log has every record ever written under the partition's name: it begins at 0, and its epoch shows that
// no record was lost and that it has no deleted predecessor, whose producers would continue their sequence numbers.
func (l *Log) isWhole() bool { return l.LogStartOffset() == 0 && l.LeaderEpoch() == 0 }

// has reports whether the write already has a batch of that idempotent producer: only its result tells whether the next one is in
// order, or a duplicate.
func (w *Write) has(q sequence) bool {
	return q.id >= 0 && slices.ContainsFunc(w.batches, func(b writing) bool { return b.producer.id == q.id })
}

func (w *Write) take(batches []byte, in Checked, last, nowMillis int64) {
	if w.at == 0 && w.bytes == 0 {
		w.createdMillis = nowMillis
	}
	in.producer.lastOffset, in.producer.timestamp = last, in.maxTimestamp
	w.pieces = append(w.pieces, batches)
	w.batches = append(w.batches, writing{in.producer, nowMillis})
	w.bytes += int64(len(batches))
	w.next = last + 1
}

// fits reports whether the write's segment has room for n more bytes up to lastOffset, and is not too old. The age counts from its
// first append. Apache Kafka uses the batches' timestamps: one in the future would keep a segment from ending, and alternating old
// and new ones would end a segment with each batch. Positions and relative offsets are 32 bits in Kafka's index files.
func (w *Write) fits(n, lastOffset, nowMillis int64) bool {
	size := w.at + w.bytes
	if size == 0 {
		return true
	}
	w.createdMillis = cmp.Or(w.createdMillis, nowMillis)
	age := nowMillis - w.createdMillis
	return size+n <= w.capacity && lastOffset-w.base <= math.MaxInt32 && age <= w.log.options.SegmentAge.Milliseconds()
}

// beginSegment makes the write begin the next segment, in the prepared file if there is one.
func (w *Write) beginSegment(nowMillis int64) {
	l := w.log
	w.begins = true
	w.at, w.base, w.capacity = 0, w.next, l.options.SegmentBytes
	w.createdMillis = nowMillis
	w.path = segmentPath(l.dir, w.base)
	w.prepared, l.prepared = l.prepared, nil
}

// RunInline is Run on the log's own thread, which must not wait for the disk: what a failed write leaves is cut before the next one.
func (w *Write) RunInline() {
	w.inline = true
	w.Run()
}

// Run does the write, between the last Add and EndWrite. It may block. Any goroutine may call it, once. If the log was closed or
// deleted meanwhile it writes nothing.
func (w *Write) Run() {
	l := w.log
	l.worker.writing.Lock()
	defer l.worker.writing.Unlock()
	if l.worker.gone.Load() {
		mark.Hit("a write ran after its log had gone, and wrote nothing")
		return
	}
	if w.ran {
		panic("segment: a write runs again: " + w.path)
	}
	w.ran = true
	w.err = w.run(l.worker.fs, l.dir)
}

func (w *Write) run(fsys FS, dir string) error {
	if w.size < w.visible || !w.begins && w.at < w.visible {
		panic(fmt.Sprintf("segment: a write cuts %s to %d bytes and goes to %d, and %d can be read", w.target.path, w.size, w.at, w.visible))
	}
	file := w.target.file
	if w.leftovers {
		mark.Hit("what a failed write left was cut before the next one")
		if err := cutFile(file, w.size, w.target.path); err != nil {
			return err
		}
		w.leftovers = false
	}
	if w.begins {
		if err := w.openNext(fsys, dir); err != nil {
			mark.Hit("the next segment could not be begun")
			return fmt.Errorf("%w: beginning the segment %s: %w", ErrStorage, w.path, err)
		}
		file = w.fresh
	}
	if len(w.pieces) == 0 {
		return nil
	}
	n, err := file.WriteAt(w.pieces, w.at)
	if err == nil {
		if int64(n) != w.bytes {
			panic(fmt.Sprintf("segment: %d of %d bytes were written to %s, and no error was told", n, w.bytes, w.path))
		}
		return nil
	}
	w.remains = n > 0 && (w.inline || cutFile(file, w.at, w.path) != nil) // then before the next write
	mark.HitIf(n > 0 && !w.remains, "a write to a segment failed, and what it left was cut")
	mark.HitIf(w.remains, "a write to a segment failed, and what it left was to be cut later")
	return fmt.Errorf("%w: %d of %d bytes at %d of %s: %w", ErrStorage, n, w.bytes, w.at, w.path, err)
}

// openNext makes the file of the new segment, or renames the prepared one.
func (w *Write) openNext(fsys FS, dir string) (err error) {
	if w.prepared == nil {
		mark.Hit("a segment began without a prepared file")
		w.fresh, err = fsys.Open(w.path, Create)
		return err
	}
	if err = fsys.Rename(preparedPath(dir), w.path); err == nil {
		w.fresh, w.prepared = w.prepared, nil
	}
	return err
}
