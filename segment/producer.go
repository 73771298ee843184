package segment

import (
	"errors"
	"fmt"
	"math"

	"oneplusn/segment/list"
	"oneplusn/segment/mark"
	"oneplusn/segment/records"
)

// The errors of an idempotent producer's sequence numbers.
var (
	// ErrOutOfOrderSequence: batches are missing before this one.
	ErrOutOfOrderSequence = errors.New("segment: the sequence number is out of order")
	// ErrInvalidProducerEpoch: a later instance of the producer has already written.
	ErrInvalidProducerEpoch = errors.New("segment: the producer's epoch is fenced")
)

// rememberedBatches is the number of batches of a producer that are recognized as duplicates: as many as it may have in flight
// (max.in.flight.requests.per.connection of an idempotent producer).
const rememberedBatches = 5

// sequence is a batch's place among the batches of its idempotent producer, and in the log.
type sequence struct {
	id          int64
	epoch       int16
	first, last int32 // sequence numbers, which wrap around to 0
	offsetDelta int32
	lastOffset  int64
	timestamp   int64 // the batch's latest, in milliseconds
}

func (q sequence) baseOffset() int64 { return q.lastOffset - int64(q.offsetDelta) }

func sequenceOf(h records.Batch) sequence {
	return sequence{id: h.ProducerID, epoch: h.ProducerEpoch, first: h.BaseSequence,
		last:        int32((int64(h.BaseSequence) + int64(h.LastOffsetDelta)) & math.MaxInt32),
		offsetDelta: h.LastOffsetDelta, lastOffset: h.LastOffset(), timestamp: h.MaxTimestamp}
}

// producer is the state of one idempotent producer in one log.
type producer struct {
	id         int64
	epoch      int16
	seenMillis int64
	batches    [rememberedBatches]sequence // the oldest first
	n          int
	// coordinatorEpoch and txnFirstOffset are -1, except in a directory that a Kafka broker wrote.
	coordinatorEpoch int32
	txnFirstOffset   int64
	bySeen           list.Node[*producer]
}

func (p *producer) lastSequence() int32 { return p.batches[p.n-1].last }

// producers are the idempotent producers of a log, by id and in LRU order.
type producers struct {
	limit int
	// forgot: a producer that wrote to the log may be unknown, by age, by number, or since before the start.
	forgot bool
	byID   map[int64]*producer
	bySeen list.List[*producer] // least recently seen first
}

func newProducers(limit int) producers {
	return producers{limit: limit, byID: make(map[int64]*producer)}
}

// duplicate finds the remembered batch with the same sequence numbers.
func (ps *producers) duplicate(q sequence) (sequence, bool) {
	p := ps.byID[q.id]
	if p == nil || p.epoch != q.epoch {
		return sequence{}, false
	}
	for _, b := range p.batches[:p.n] {
		if b.first == q.first && b.last == q.last {
			return b, true
		}
	}
	return sequence{}, false
}

// check refuses a batch that is not its producer's next. An unknown producer has to begin with 0, unless its state may be
// forgotten, or its batches lost: whole says that the log is known to have lost none.
func (ps *producers) check(q sequence, whole bool) error {
	p := ps.byID[q.id]
	switch {
	case p == nil && whole && !ps.forgot && q.first != 0:
		mark.Hit("an unknown producer that began in the middle was refused")
		return fmt.Errorf("%w: producer %d has written nothing here, the batch begins at %d", ErrOutOfOrderSequence, q.id, q.first)
	case p == nil:
		mark.HitIf(q.first != 0, "an unknown producer that began in the middle was let in")
		return nil
	case q.epoch < p.epoch:
		mark.Hit("a fenced producer was refused")
		return fmt.Errorf("%w: producer %d has epoch %d, the batch has %d", ErrInvalidProducerEpoch, q.id, p.epoch, q.epoch)
	case q.epoch > p.epoch && q.first != 0:
		mark.Hit("a producer that began an epoch in the middle was refused")
		return fmt.Errorf("%w: producer %d begins epoch %d with sequence number %d", ErrOutOfOrderSequence, q.id, q.epoch, q.first)
	case q.epoch == p.epoch && p.n > 0 && q.first != (p.lastSequence()+1)&math.MaxInt32:
		mark.Hit("a sequence number out of order was refused")
		return fmt.Errorf("%w: producer %d wrote up to %d, the batch begins at %d", ErrOutOfOrderSequence, q.id, p.lastSequence(), q.first)
	}
	return nil
}

// add remembers an appended batch.
func (ps *producers) add(q sequence, nowMillis int64) {
	p := ps.byID[q.id]
	if p == nil {
		if len(ps.byID) >= ps.limit {
			mark.Hit("a producer was forgotten to make room for another")
			p = ps.forgetOldest() // reuse its memory
		}
		if p == nil {
			p = new(producer)
		}
		*p = producer{id: q.id, epoch: q.epoch, coordinatorEpoch: -1, txnFirstOffset: -1}
		ps.byID[q.id] = p
		ps.bySeen.PushBack(&p.bySeen, p)
	}
	ps.bySeen.MoveToBack(&p.bySeen)
	if len(ps.byID) != ps.bySeen.Len() {
		panic(fmt.Sprintf("segment: %d producers by id, %d by the time they were seen", len(ps.byID), ps.bySeen.Len()))
	}
	if p.epoch != q.epoch {
		mark.Hit("a producer began a new epoch")
		p.epoch, p.n = q.epoch, 0
	}
	if p.n == rememberedBatches {
		copy(p.batches[:], p.batches[1:])
		p.n--
	}
	mark.HitIf(q.last < q.first, "sequence numbers wrapped around")
	p.batches[p.n] = q
	p.n++
	p.seenMillis = nowMillis
}

// expire forgets producers last seen before a time.
func (ps *producers) expire(beforeMillis int64) {
	for p := range ps.bySeen.All() {
		if p.seenMillis >= beforeMillis {
			return
		}
		if !p.isOpen() {
			mark.Hit("a producer was forgotten after its time")
			ps.forget(p)
		}
	}
}

// isOpen reports whether a transaction of the producer is open, which only a Kafka broker can have begun. Such a producer is
// never forgotten, whatever the limit: its records would count as committed from the next start on.
func (p *producer) isOpen() bool { return p.txnFirstOffset >= 0 }

// forgetOldest forgets the least recently seen producer and returns it, or nil if all have open transactions.
func (ps *producers) forgetOldest() *producer {
	for p := range ps.bySeen.All() {
		if !p.isOpen() {
			ps.forget(p)
			return p
		}
	}
	return nil
}

func (ps *producers) forget(p *producer) {
	ps.forgot = true
	p.bySeen.Remove()
	delete(ps.byID, p.id)
}
