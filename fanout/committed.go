package fanout

import (
	"oneplusn/fanout/wire"
)

// readCommitted is the isolation level of consumers that are to see nothing of open and aborted transactions.
const readCommitted = 1

// addAborted adds to the answer for a partition the aborted transactions that have records in its range, or a little
// behind it: a consumer leaves alone what it meets no record of.
func (b *Broker) addAborted(r *fetchResult, fetchOffset int64) {
	to := min(r.LastStableOffset, r.rng.Segment.NextOffset())
	b.aborted = r.partition.log.Aborted(b.aborted[:0], fetchOffset, to)
	b.skipped = b.skipped[:0]
	for _, a := range b.aborted {
		b.skipped = append(b.skipped, wire.AbortedTransaction{ProducerID: a.ProducerID, FirstOffset: a.FirstOffset})
	}
	r.Aborted = b.skipped
}

// cutUnstable ends a range at the last stable offset. What lies behind does not count as readable, nor as more to follow.
func cutUnstable(r *fetchResult) {
	stable := r.partition.log.Stable(r.rng)
	r.ended = r.ended && stable.Len == r.rng.Len
	r.rng, r.readable = stable, stable.Len
}
