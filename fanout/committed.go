package fanout

import (
	"oneplusn/fanout/wire"
	"oneplusn/segment"
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

// cutUnstable ends a range at the last stable offset. For a reader that stands there already nothing is left, not even
// batches before it.
func cutUnstable(r *fetchResult, fetchOffset int64) {
	if fetchOffset >= r.LastStableOffset {
		r.rng = segment.Range{}
	} else {
		r.rng = r.partition.log.Stable(r.rng)
	}
	r.RecordsBytes = int32(r.rng.Len)
}
