package fanout

import (
	"errors"
	"sync"
	"time"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

const (
	// checkedInTurn is how long the loop checks batches in one turn, as estimated. What comes beyond that is checked in the
	// background.
	checkedInTurn = 15 * time.Millisecond
	// checkedInline is how many bytes of records the loop walks over for one batch: at most 8 ms, if they are the smallest.
	checkedInline = 2 << 20
	// inflatedInline is how much the loop inflates to find out whether a batch is small, and compressedInline the size of
	// one with which it does not even try.
	inflatedInline   = 256 << 10
	compressedInline = 64 << 10

	// What a check takes, from BenchmarkCheck on a slow machine: for each record, for each KiB of its CRC, for each KiB that
	// is inflated.
	recordCost  = 30 * time.Nanosecond
	crcCost     = 100 * time.Nanosecond
	inflateCost = 4 * time.Microsecond
)

// batchCheck is the check of one batch of a produce.
type batchCheck struct {
	partition *partition // nil if the batch is refused whatever it is
	rules     segment.Rules
	pending   bool // it has not been checked
	err       error
}

// batchChecks checks the batches of producers: small ones on the loop, others in the background, a few at a time. A produce
// whose batches are checked in the background keeps its connection busy and its frame pinned.
type batchChecks struct {
	inline segment.Checker
	turn   uint64        // the turn that left is of
	left   time.Duration // for checks on the loop
	spare  sync.Pool     // checkers of the background
}

// budget is what a batch may take on the loop, in bytes of records. 0 sends it to the background.
func (k *batchChecks) budget(batch []byte, turn uint64) int64 {
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

// now checks a batch on the loop. It is false if that would take too long.
func (k *batchChecks) now(r *produceResult, zstd bool, turn uint64, nowMillis int64) bool {
	batch := r.append.Batches
	if k.inline.Budget = k.budget(batch, turn); k.inline.Budget == 0 {
		return false
	}
	r.append.Checked, r.check.err = k.inline.Check(batch, r.check.rules, zstd, nowMillis)
	walked, records := k.inline.Spent()
	k.left -= time.Duration(len(batch)>>10)*crcCost + time.Duration(records)*recordCost
	if segment.IsCompressed(batch) {
		k.left -= time.Duration(walked>>10) * inflateCost
	}
	return !errors.Is(r.check.err, segment.ErrLaterPlease)
}

// zstdSince is the version of Produce from which on batches may be compressed with zstd (KIP-110).
const zstdSince = 7

// checkProduce checks all batches of the connection's produce. It is false if that is done in the background, which goes on
// with appendProduce.
func (b *Broker) checkProduce(c *client) bool {
	req := &c.produce
	transactional := false
	for i := range req.Partitions {
		transactional = transactional || segment.IsTransactional(req.Partitions[i].Records)
	}
	inline, zstd, now := true, c.header.Version >= zstdSince, b.loop.UnixMillis()
	for i := range req.Partitions {
		r, part := &c.produced[i], &req.Partitions[i]
		if transactional { // Kafka asks whether it may be before it looks at any partition
			r.ProduceResult = failedProduce(wire.CodeTransactionalIDAuthorizationFailed, noTransactions)
			continue
		}
		if r.check.partition, r.ProduceResult = b.produceTo(req, part); r.check.partition == nil {
			continue
		}
		r.append.Batches, r.check.rules = part.Records, r.check.partition.log.Rules()
		inline = inline && b.checks.now(r, zstd, b.loop.Turn(), now)
		r.check.pending = !inline
	}
	if !inline {
		c.pin()
		b.checkLater(c, zstd)
	}
	return inline
}

// checkLater checks in the background what has not been checked of a connection's produce, which is pinned. Until that is
// back the loop touches no check of the produce.
func (b *Broker) checkLater(c *client, zstd bool) {
	b.inflating.Go(b.loop, func() (work, done func()) {
		if c.state != connOpen {
			c.unpin()
			return nil, nil
		}
		produced, now := c.produced, b.loop.UnixMillis()
		return func() {
			checker, _ := b.checks.spare.Get().(*segment.Checker)
			if checker == nil {
				checker = new(segment.Checker)
			}
			for i := range produced {
				if r := &produced[i]; r.check.pending {
					r.append.Checked, r.check.err = checker.Check(r.append.Batches, r.check.rules, zstd, now)
				}
			}
			b.checks.spare.Put(checker)
		}, func() { b.checkedLater(c) }
	})
}

// checkedLater goes on with a produce. Its client may have gone, and its topics may have been deleted.
func (b *Broker) checkedLater(c *client) {
	if c.state == connOpen {
		for i := range c.produced {
			if r := &c.produced[i]; r.check.partition != nil {
				r.check.partition, r.ProduceResult = b.produceTo(&c.produce, &c.produce.Partitions[i])
			}
		}
		b.appendProduce(c)
	}
	c.unpin()
}
