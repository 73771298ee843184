package produce

import (
	"errors"
	"sync"
	"time"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/mark"
)

const (
	// checkedInTurn is how long the loop checks batches in one turn, as estimated. Batches beyond that are checked in the
	// background.
	checkedInTurn = 15 * time.Millisecond
	// checkedInline is how many bytes of records the loop walks over for one batch: at most 8 ms, if they are the smallest.
	checkedInline = 2 << 20
	// inflatedInline is how much the loop inflates to find out whether a batch is small. It does not try with batches above
	// compressedInline.
	inflatedInline   = 256 << 10
	compressedInline = 64 << 10

	// The cost of a check, from BenchmarkCheck on a slow machine: for each record, for each KiB of its CRC, for each KiB
	// inflated.
	recordCost  = 30 * time.Nanosecond
	crcCost     = 100 * time.Nanosecond
	inflateCost = 4 * time.Microsecond
)

// checks checks the batches of producers: small ones on the loop, others in the background, a few at a time. A produce
// whose batches are checked in the background keeps its connection busy and its frame pinned.
type checks struct {
	inline segment.Checker
	turn   uint64        // the turn that left is of
	left   time.Duration // for checks on the loop
}

// spareCheckers check in the background.
var spareCheckers = sync.Pool{New: func() any { return new(segment.Checker) }}

// budget is how many bytes of a batch's records may be checked on the loop. 0 sends it to the background.
func (k *checks) budget(batch []byte, turn uint64) int64 {
	if k.turn != turn {
		k.turn, k.left = turn, checkedInTurn
	}
	compressed := segment.IsCompressed(batch)
	switch {
	case k.left <= 0 || compressed && len(batch) > compressedInline:
		return 0
	case compressed:
		return inflatedInline
	}
	return checkedInline
}

// now checks a batch on the loop. It returns false if that would take too long.
func (k *checks) now(r *part, zstd bool, turn uint64, nowMillis int64) bool {
	batch := r.append.Batches
	if k.inline.Budget = k.budget(batch, turn); k.inline.Budget == 0 {
		return false
	}
	r.append.Checked, r.err = k.inline.Check(batch, r.rules, zstd, nowMillis)
	walked, records := k.inline.Spent()
	k.left -= time.Duration(len(batch)>>10)*crcCost + time.Duration(records)*recordCost
	if segment.IsCompressed(batch) {
		k.left -= time.Duration(walked>>10) * inflateCost
	}
	return !errors.Is(r.err, segment.ErrLaterPlease)
}

// zstdSince is the version of Produce from which on batches may be compressed with zstd (KIP-110).
const zstdSince = 7

// check checks all batches. It returns false if the background does that, which calls write afterwards.
func (p *Produce) check() bool {
	pr := p.producer
	transactional := false
	for i := range p.request.Partitions {
		transactional = transactional || segment.IsTransactional(p.request.Partitions[i].Records)
	}
	inline, zstd, now := true, p.version >= zstdSince, pr.loop.UnixMillis()
	for i := range p.parts {
		r, want := &p.parts[i], &p.request.Partitions[i]
		if transactional { // Kafka asks whether it may be before it looks at any partition
			mark.Hit("a transactional batch was refused")
			r.ProduceResult = failed(wire.CodeTransactionalIDAuthorizationFailed, NoTransactions)
			continue
		}
		if r.find(want); r.partition == nil {
			continue
		}
		r.append.Batches, r.rules = want.Records, r.partition.Log.Rules()
		inline = inline && pr.checks.now(r, zstd, pr.loop.Turn(), now)
		r.unchecked = !inline
	}
	if !inline {
		mark.Hit("a batch was checked off the loop")
		p.conn.Pin()
		p.checkLater(zstd)
	}
	return inline
}

// find looks up a part's partition, or the error for the part, whatever its batch.
func (r *part) find(want *wire.ProducePartition) {
	req := &r.produce.request
	var code int16
	var message string
	switch {
	case req.Acks < -1 || req.Acks > 1:
		mark.Hit("a produce asked for acknowledgements that do not exist")
		code = wire.CodeInvalidRequiredAcks
	case req.TransactionalID != nil:
		code, message = wire.CodeTransactionalIDAuthorizationFailed, NoTransactions
	default:
		r.partition, code, message = r.produce.producer.find(want.Topic, want.Partition)
	}
	if code != 0 {
		r.partition, r.ProduceResult = nil, failed(code, message)
	}
}

// checkLater checks the other batches in the background. Until that has ended the loop touches no check of the produce.
func (p *Produce) checkLater(zstd bool) {
	pr := p.producer
	pr.config.Background.Go(pr.loop, func() (work, done func()) {
		if !p.conn.Open() {
			mark.Hit("a client left before its batches were checked")
			p.conn.Unpin()
			return nil, nil
		}
		parts, now := p.parts, pr.loop.UnixMillis()
		return func() {
			checker := spareCheckers.Get().(*segment.Checker)
			for i := range parts {
				if r := &parts[i]; r.unchecked {
					r.append.Checked, r.err = checker.Check(r.append.Batches, r.rules, zstd, now)
				}
			}
			spareCheckers.Put(checker)
		}, p.checkedLater
	})
}

// checkedLater resumes a produce. Its client may be gone, and its topics may have been deleted.
func (p *Produce) checkedLater() {
	if p.conn.Open() {
		for i := range p.parts {
			if r := &p.parts[i]; r.partition != nil {
				r.find(&p.request.Partitions[i])
			}
		}
		p.write()
	}
	p.conn.Unpin()
}
