package fetch

import (
	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/mark"
	"oneplusn/segment/records"
)

// zstdFrom is the first version of Fetch whose clients know zstd (KIP-110).
const zstdFrom = 10

// cutZstd ends a range before its first batch that is compressed by zstd, which an older client cannot read. If that is the very
// first, the client gets an error.
func (e *evaluation) cutZstd(r *result) {
	before, found, err := r.partition.Log.Before(records.Zstd, r.records, r.looked)
	switch {
	case err != nil:
		e.unread(r, err)
	case before.Len == 0 && found:
		mark.Hit("an old client met a batch of zstd")
		r.ErrorCode = wire.CodeUnsupportedCompressionType
		r.records = segment.Range{}
	default:
		mark.HitIf(found, "an old client got the batches before one of zstd")
		r.records = before
	}
}

// addAborted adds the aborted transactions with records in a partition's range, or a little behind it: consumers ignore those
// without records.
func (e *evaluation) addAborted(r *result, fetchOffset int64) {
	to := min(r.LastStableOffset, r.records.Segment.NextOffset())
	e.aborted = r.partition.Log.Aborted(e.aborted[:0], fetchOffset, to)
	e.skipped = e.skipped[:0]
	for _, a := range e.aborted {
		e.skipped = append(e.skipped, wire.AbortedTransaction{ProducerID: a.ProducerID, FirstOffset: a.FirstOffset})
	}
	mark.HitIf(len(e.skipped) > 0, "a reader of committed data got a list of aborted transactions")
	r.Aborted = e.skipped
}

// cutUnstable ends a range at the last stable offset. Records behind it count neither as readable nor as more to follow.
func (r *result) cutUnstable() {
	stable := r.partition.Log.Stable(r.records)
	mark.HitIf(stable.Len < r.records.Len, "a reader of committed data got records up to an open transaction")
	r.ended = r.ended && stable.Len == r.records.Len
	r.records, r.readable = stable, stable.Len
}
