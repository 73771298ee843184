package fetch

import (
	"oneplusn/fanout/wire"
	"oneplusn/segment"
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
		r.ErrorCode = wire.CodeUnsupportedCompressionType
		r.records = segment.Range{}
	default:
		r.records = before
	}
}
